/** What a backend records while it prepares and runs graphs. */
#pragma once

#include <string>

#include "backend.hpp"

namespace openqnn {

class Profile {
 public:
  /**
   * @param level empty for none, `basic` for the events at the root, `detailed` for all
   * @param trace whether the backend also records when which unit is busy (optrace)
   * @param always record even where nothing is wanted, so that it makes no difference to a compile
   */
  Profile(const Backend& backend, const std::string& level, bool trace = false,
          bool always = false);

  /** Null where nothing is recorded. */
  Qnn_ProfileHandle_t handle() const { return profile_.get(); }

  /** Take over the events of the call that was last given the handle. */
  void collect();

  /**
   * Write `qnn-profiling-data_0.csv`, in the columns of qnn-profile-viewer, and a trace, as the
   * backend gives it, as `qnn-profiling-data_0.log`.
   */
  void write(const std::string& folder) const;

 private:
  void enableTrace();
  void collectEvent(QnnProfile_EventId_t event, int depth);
  void collectObject(QnnProfile_EventId_t event);

  const Backend& backend_;
  std::string level_;
  Owned<Qnn_ProfileHandle_t> profile_;
  std::string rows_;
  std::string objects_;
};

}  // namespace openqnn
