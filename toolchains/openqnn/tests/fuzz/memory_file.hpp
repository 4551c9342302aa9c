/** A file in memory that is read by its name. */
#pragma once

#include <sys/mman.h>
#include <unistd.h>

#include <cstdint>
#include <cstdlib>
#include <string>

namespace openqnn {

class MemoryFile {
 public:
  /** @param number of its descriptor, where a name has to be known beforehand */
  explicit MemoryFile(int number = -1) : descriptor_(::memfd_create("fuzz", 0)) {
    if (number >= 0) descriptor_ = ::dup2(descriptor_, number);
    if (descriptor_ < 0) std::abort();
  }

  std::string path() const { return "/dev/fd/" + std::to_string(descriptor_); }

  /** Have these bytes and no others. */
  void hold(const uint8_t* data, size_t size) {
    const bool held = ::ftruncate(descriptor_, 0) == 0 &&
                      ::pwrite(descriptor_, data, size, 0) == static_cast<ssize_t>(size);
    if (!held) std::abort();
  }

 private:
  int descriptor_;
};

}  // namespace openqnn
