/** The NPU that a network runs on, and what its clocks are asked for meanwhile. */
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "HTP/QnnHtpDevice.h"
#include "backend.hpp"

namespace openqnn {

/** One of the NPUs that the backend lists. */
class Npu {
 public:
  /** Raises a target failure where there is no NPU of this number; they are counted from 0. */
  Npu(const Backend& backend, unsigned number);
  Npu(const Npu&) = delete;
  Npu& operator=(const Npu&) = delete;
  ~Npu();

  uint32_t deviceId() const { return device_.v1.deviceId; }
  uint32_t coreId() const { return device_.v1.cores[0].v1.coreId; }
  /** For `HtpDeviceConfigs`: a machine that has this NPU and no other; valid as long as this. */
  QnnDevice_PlatformInfo_t* alone() { return &alone_; }

 private:
  const Backend& backend_;
  const QnnDevice_PlatformInfo_t* all_ = nullptr;
  QnnDevice_HardwareDeviceInfo_t device_{};
  QnnDevice_PlatformInfo_t alone_{};
};

/** A performance profile in the words of Qualcomm's tools, and what it votes for. */
struct PowerProfile {
  const char* name;
  QnnHtpPerfInfrastructure_VoltageCorner_t corner;  ///< of core and bus: least, aim and most
  bool dcvs;                                        ///< may the clocks follow the load?
  uint32_t sleepLatencyUs;                          ///< what waking up may take
  uint32_t rpcLatencyUs;                            ///< what a call into the DSP may wait
  uint32_t rpcPollingUs;                            ///< how long the CPU spins for an answer
};

/** The names that `--perf` takes. `default` is no vote: the board's own governor decides. */
std::vector<std::string> profileNames();

/** The profile of a name that is not `default`. */
const PowerProfile& profileOf(const std::string& name);

/** A vote for the clocks of an NPU that holds as long as this lives. */
class ClockVote {
 public:
  /** The device must have been created. Raises a target failure where the vote is refused. */
  ClockVote(const Backend& backend, const Npu& npu, const PowerProfile& profile);
  ClockVote(const ClockVote&) = delete;
  ClockVote& operator=(const ClockVote&) = delete;
  ~ClockVote();

 private:
  QnnHtpDevice_PerfInfrastructure_t calls_{};
  uint32_t id_ = 0;
};

}  // namespace openqnn
