/** Input lists: whatever stands in one, it is read or refused. */

#include "failure.hpp"
#include "input_list.hpp"
#include "memory_file.hpp"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  static openqnn::MemoryFile file;
  file.hold(data, size);
  try {
    const auto samples = openqnn::readInputList(file.path(), {"x", "mask", "position"});
    for (const auto& sample : samples) {
      if (sample.size() != 3) __builtin_trap();
    }
  } catch (const openqnn::Failure&) {
  }
  return 0;
}
