/**
 * What a board must have before its NPU can be used, each missing thing with its own words: the
 * backend has one error, 14001, for most of them.
 */
#pragma once

#include <cstdint>
#include <string>

namespace openqnn {

/** What a package says that it needs; `libraries` is the folder of Qualcomm's. */
struct Needs {
  std::string libraries;
  std::string buildId;
  uint32_t dspArch = 0;  ///< 73 for v73
};

/**
 * Look for a device node, libcdsprpc.so, the stub and the skel, the latter two of the build that is
 * needed, and let FastRPC search for the skel in `libraries` first.
 *
 * @param ownSkel false where the board's own skel is to be used: it is then left to FastRPC
 */
void prepareBoard(const Needs& needs, bool ownSkel);

/** The board's name and number for its SoC, such as `QCS9075 (soc_id 676)`. */
std::string socOfBoard();

/** What most likely is wrong where the backend cannot start at all, in one sentence. */
std::string whyNoBackend();

/** What most likely is wrong where the backend cannot reach the NPU, in one sentence. */
std::string whyNoNpu();

}  // namespace openqnn
