#include "timing.hpp"

#include <algorithm>
#include <cmath>
#include <numeric>

namespace openqnn {

Timing::Timing(std::vector<double> times) : first_(times.front()), sorted_(std::move(times)) {
  std::sort(sorted_.begin(), sorted_.end());
}

double Timing::mean() const {
  return std::accumulate(sorted_.begin(), sorted_.end(), 0.0) / static_cast<double>(count());
}

double Timing::percentile(double percent) const {
  const double rank = std::ceil(percent / 100.0 * static_cast<double>(count()));
  return sorted_[static_cast<size_t>(std::max(rank, 1.0)) - 1];
}

}  // namespace openqnn
