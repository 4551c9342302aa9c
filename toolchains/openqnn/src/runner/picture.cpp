#include "picture.hpp"

#include "failure.hpp"
#include "manifest.hpp"
#include "tensor.hpp"

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

bool takesBytes(const Qnn_TensorV1_t& t) {
  return t.rank == 4 && t.dimensions[3] == kCount && elementSize(t.dataType) == 1;
}

std::vector<float> planes(const uint8_t* bytes, size_t pixels, const Normalisation& how) {
  std::vector<float> values(pixels * kCount);
  for (size_t c = 0; c < kCount; ++c) {
    for (size_t i = 0; i < pixels; ++i) {
      const float value = static_cast<float>(bytes[i * kCount + c]) / 255.0F;
      values[c * pixels + i] = (value - how.mean[c]) / how.deviation[c];
    }
  }
  return values;
}

}  // namespace

PictureSize sizeOf(const Qnn_Tensor_t& input) {
  const Qnn_TensorV1_t& t = common(input);
  if (takesBytes(t)) return {t.dimensions[1], t.dimensions[2]};
  if (t.rank == 4 && t.dimensions[1] == kCount) return {t.dimensions[2], t.dimensions[3]};
  throw Failure(Exit::input, std::string("--rgb needs a network whose input is one picture, "
                                         "planes [1, 3, height, width] or bytes [1, height, "
                                         "width, 3]; this one takes ") +
                                 shapeOf(input) + ".");
}

std::vector<float> pixels(const Qnn_Tensor_t& input, const uint8_t* bytes, size_t size,
                          const std::string& manifest, const std::string& name) {
  const PictureSize picture = sizeOf(input);
  const size_t count = checkedPixels(size, picture.height, picture.width, name);
  if (takesBytes(common(input))) return {bytes, bytes + size};
  return planes(bytes, count, readNormalisation(manifest));
}

}  // namespace openqnn
