/** A context binary's description of itself, read by Qualcomm's libQnnSystem.so. */
#pragma once

#include <cstdint>
#include <string>

#include "System/QnnSystemInterface.h"
#include "library.hpp"

namespace openqnn {

class BinaryInfo {
 public:
  /**
   * Read the description of `data`, which must live as long as this. `name` is for messages.
   * Raises a context failure where the bytes are damaged or not a context.
   */
  BinaryInfo(const void* data, uint64_t size, const std::string& name);
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
  QnnSystemContext_Handle_t handle_          = nullptr;
  const QnnSystemContext_BinaryInfo_t* info_ = nullptr;
};

}  // namespace openqnn
