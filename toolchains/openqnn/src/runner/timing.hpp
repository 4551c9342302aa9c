/** How long runs took. */
#pragma once

#include <cstddef>
#include <vector>

namespace openqnn {

class Timing {
 public:
  /** @param times of all runs in order, in microseconds; at least one */
  explicit Timing(std::vector<double> times);

  double first() const { return first_; }
  double fastest() const { return sorted_.front(); }
  double slowest() const { return sorted_.back(); }
  double mean() const;
  /** The smallest time that `percent` of all runs did not exceed (nearest rank). */
  double percentile(double percent) const;
  size_t count() const { return sorted_.size(); }

 private:
  double first_;
  std::vector<double> sorted_;
};

}  // namespace openqnn
