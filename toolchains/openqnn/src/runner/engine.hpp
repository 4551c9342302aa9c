/** A context binary and all that runs it: what the runner and libdinov3 have in common. */
#pragma once

#include <memory>
#include <string>

#include "backend.hpp"
#include "binary_info.hpp"
#include "files.hpp"
#include "network.hpp"
#include "npu.hpp"

namespace openqnn {

#if defined(__aarch64__)
constexpr bool kOnBoard = true;
#else
constexpr bool kOnBoard = false;
#endif

/** How a context is to be run; of clocks and NPUs only a board knows. */
struct Setting {
  std::string context;
  std::string libraries;  ///< the folder of Qualcomm's
  std::string logLevel = "error";
  bool ownSkel = true;       ///< the one beside the libraries, not the board's
  bool needsNpu = false;     ///< to vote for its clocks
  bool choosesNpu = false;   ///< the one of `npu`, not whichever the board takes
  unsigned npu = 0;
};

class Engine {
 public:
  /** Raises a failure that says what most likely is wrong where a board refuses. */
  explicit Engine(const Setting& setting);

  const BinaryInfo& info() const { return info_; }
  const std::string& buildId() const { return buildId_; }
  const Backend& backend() const { return *backend_; }
  const Npu& npu() const { return *npu_; }  ///< where it was needed or chosen
  Network& network() const { return *network_; }

 private:
  MappedFile file_;
  BinaryInfo info_;
  std::string buildId_;
  std::unique_ptr<Backend> backend_;
  std::unique_ptr<Npu> npu_;
  std::unique_ptr<Network> network_;
};

}  // namespace openqnn
