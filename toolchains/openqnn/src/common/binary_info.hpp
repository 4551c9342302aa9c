/** A context binary's description of itself, read by Qualcomm's libQnnSystem.so. */
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>

#include "System/QnnSystemInterface.h"
#include "library.hpp"

namespace openqnn {

/** What the HTP backend adds to a graph's description (`graphBlobInfo`, measured on QAIRT 2.51). */
struct HtpGraphInfo {
  uint32_t version;
  uint32_t reserved;
  uint64_t spillFillBufferSize;
  uint32_t vtcmSize;  ///< bytes
  uint32_t optimizationLevel;
  uint8_t htpDlbc;
  uint32_t reserved2;
  uint32_t numHvxThreads;  ///< 0: the backend's own choice
};
static_assert(offsetof(HtpGraphInfo, vtcmSize) == 16 &&
              offsetof(HtpGraphInfo, numHvxThreads) == 32);

/** Null where a graph has no such description. */
const HtpGraphInfo* htpInfo(const QnnSystemContext_GraphInfoV3_t& graph);

constexpr const char* kSystemLibrary = "libQnnSystem.so";

class BinaryInfo {
 public:
  /**
   * Read the description of `data`, which must live as long as this. `name` is for messages,
   * `system` the library that reads it: a bare name stands for this program's own.
   * Raises a context failure where the bytes are damaged or not a context.
   */
  BinaryInfo(const void* data, uint64_t size, const std::string& name,
             const std::string& system = kSystemLibrary);
  BinaryInfo(const BinaryInfo&) = delete;
  BinaryInfo& operator=(const BinaryInfo&) = delete;
  ~BinaryInfo();

  const QnnSystemContext_BinaryInfoV3_t& get() const { return info_->contextBinaryInfoV3; }
  uint32_t socModel() const { return get().socModel; }
  /** 73 for v73; 0 where the binary does not say. */
  uint32_t dspArch() const;

 private:
  SharedLibrary library_;
  QnnSystemInterface_t interface_;
  QnnSystemContext_Handle_t handle_ = nullptr;
  const QnnSystemContext_BinaryInfo_t* info_ = nullptr;
};

}  // namespace openqnn
