#include "picture.hpp"

#include "failure.hpp"

namespace openqnn {

namespace {

/** Mean and standard deviation of values in 0..1. */
struct Channel {
  float mean;
  float deviation;
};

/** ImageNet's, as in preprocessor_config.json of the DINOv3 models trained on LVD-1689M. */
constexpr Channel kChannels[] = {{0.485F, 0.229F}, {0.456F, 0.224F}, {0.406F, 0.225F}};
constexpr size_t kCount = 3;

size_t checkedPixels(size_t size, uint32_t height, uint32_t width, const std::string& name) {
  const size_t pixels = size_t{height} * width;
  if (size != pixels * kCount) {
    throw Failure(Exit::input, name + " has " + std::to_string(size) + " bytes; RGB of " +
                                   std::to_string(width) + "x" + std::to_string(height) +
                                   " pixels has " + std::to_string(pixels * kCount) + ".");
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
                          const std::string& name) {
  const size_t pixels = checkedPixels(size, height, width, name);
  std::vector<float> values(pixels * kCount);
  for (size_t c = 0; c < kCount; ++c) {
    for (size_t i = 0; i < pixels; ++i) {
      const float value = static_cast<float>(bytes[i * kCount + c]) / 255.0F;
      values[c * pixels + i] = (value - kChannels[c].mean) / kChannels[c].deviation;
    }
  }
  return values;
}

}  // namespace openqnn
