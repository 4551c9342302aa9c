#include "picture.hpp"

#include "failure.hpp"

namespace openqnn {

namespace {

constexpr size_t kCount = 3;

size_t checkedPixels(size_t size, uint32_t height, uint32_t width, const std::string& name) {
  const uint64_t pixels = uint64_t{height} * width;
  if (size % kCount != 0 || size / kCount != pixels) {
    throw Failure(Exit::input, name + " has " + std::to_string(size) + " bytes; RGB of " +
                                   std::to_string(width) + "x" + std::to_string(height) +
                                   " pixels has three a pixel.");
  }
  return pixels;
}

}  // namespace

std::vector<float> numbers(const uint8_t* bytes, size_t size, uint32_t height, uint32_t width,
                           const std::string& name) {
  checkedPixels(size, height, width, name);
  return {bytes, bytes + size};
}

std::vector<float> planes(const uint8_t* bytes, size_t size, uint32_t height, uint32_t width,
                          const Normalisation& how, const std::string& name) {
  const size_t pixels = checkedPixels(size, height, width, name);
  std::vector<float> values(pixels * kCount);
  for (size_t c = 0; c < kCount; ++c) {
    for (size_t i = 0; i < pixels; ++i) {
      const float value = static_cast<float>(bytes[i * kCount + c]) / 255.0F;
      values[c * pixels + i] = (value - how.mean[c]) / how.deviation[c];
    }
  }
  return values;
}

}  // namespace openqnn
