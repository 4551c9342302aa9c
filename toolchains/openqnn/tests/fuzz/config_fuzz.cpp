/** Configurations: level 1 up to the first zero byte, then level 2, at /dev/fd/900 for the first. */

#include <algorithm>

#include "config.hpp"
#include "failure.hpp"
#include "htp.hpp"
#include "memory_file.hpp"

namespace {

constexpr int kLevel2 = 900;

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  static openqnn::MemoryFile first;
  static openqnn::MemoryFile second(kLevel2);
  const uint8_t* end = std::find(data, data + size, uint8_t{0});
  const auto length = static_cast<size_t>(end - data);
  first.hold(data, length);
  const size_t skipped = length == size ? 0 : 1;
  second.hold(end + skipped, size - length - skipped);
  try {
    const openqnn::Config config = openqnn::readConfig(first.path());
    openqnn::HtpDeviceConfigs devices(config.device);
    openqnn::HtpGraphConfigs graphs(config.graphs);
  } catch (const openqnn::Failure&) {
  }
  return 0;
}
