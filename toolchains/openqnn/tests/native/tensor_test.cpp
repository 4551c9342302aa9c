/** Conversions between float files and tensors, held against what the formats say. */

#include <cmath>
#include <cstdio>
#include <cstring>
#include <functional>
#include <limits>
#include <vector>

#include "failure.hpp"
#include "tensor.hpp"

namespace {

int failures = 0;

void expect(bool condition, const char* what) {
  if (condition) return;
  std::printf("failed: %s\n", what);
  ++failures;
}

Qnn_Tensor_t tensorOf(Qnn_DataType_t type, uint32_t* dimensions) {
  Qnn_Tensor_t tensor{};
  tensor.version = QNN_TENSOR_VERSION_1;
  tensor.v1.name = "t";
  tensor.v1.dataType = type;
  tensor.v1.rank = 1;
  tensor.v1.dimensions = dimensions;
  tensor.v1.quantizeParams.encodingDefinition = QNN_DEFINITION_UNDEFINED;
  return tensor;
}

template <typename T>
std::vector<T> pack(Qnn_Tensor_t tensor, const std::vector<float>& values) {
  std::vector<T> packed(values.size());
  *tensor.v1.dimensions = static_cast<uint32_t>(values.size());
  openqnn::fromFloat(tensor, values.data(), packed.data());
  return packed;
}

void everyHalfSurvives() {
  uint32_t n = 1;
  const Qnn_Tensor_t tensor = tensorOf(QNN_DATATYPE_FLOAT_16, &n);
  int changed = 0;
  for (uint32_t bits = 0; bits < 0x10000; ++bits) {
    const auto half = static_cast<uint16_t>(bits);
    if ((half & 0x7C00) == 0x7C00 && (half & 0x3FF) != 0) continue;  // not a number
    float value = 0;
    openqnn::toFloat(tensor, &half, &value);
    changed += pack<uint16_t>(tensor, {value})[0] != half ? 1 : 0;
  }
  expect(changed == 0, "every half becomes itself again");
}

void halvesRoundToNearestEven() {
  uint32_t n = 1;
  const Qnn_Tensor_t tensor = tensorOf(QNN_DATATYPE_FLOAT_16, &n);
  const float ulp = std::ldexp(1.0F, -10);
  const std::vector<float> values = {1 + ulp / 2,
                                     1 + 3 * ulp / 2,
                                     65519.0F,
                                     65520.0F,
                                     1e-9F,
                                     std::ldexp(1.0F, -25),
                                     std::ldexp(3.0F, -25),
                                     std::nextafter(1 + ulp / 2, 2.0F)};
  const std::vector<uint16_t> expected = {0x3C00, 0x3C02, 0x7BFF, 0x7C00,
                                          0x0000, 0x0000, 0x0002, 0x3C01};
  expect(pack<uint16_t>(tensor, values) == expected, "halves round to the nearest, ties to even");
  expect((pack<uint16_t>(tensor, {NAN})[0] & 0x7FFF) == 0x7E00, "not a number stays one");
}

void fixedPointSaturates() {
  uint32_t n = 1;
  Qnn_Tensor_t tensor = tensorOf(QNN_DATATYPE_UFIXED_POINT_8, &n);
  tensor.v1.quantizeParams = {
      QNN_DEFINITION_DEFINED, QNN_QUANTIZATION_ENCODING_SCALE_OFFSET, {{0.5F, -10}}};
  const std::vector<float> values = {0.0F, 0.24F, 0.25F, 0.75F, -5.0F, -6.0F, 1e9F, -INFINITY, NAN};
  const std::vector<uint8_t> expected = {10, 10, 10, 12, 0, 0, 255, 0, 0};
  expect(pack<uint8_t>(tensor, values) == expected, "unsigned fixed point rounds and saturates");
  const uint8_t stored = 12;
  float value = 0;
  n = 1;
  openqnn::toFloat(tensor, &stored, &value);
  expect(value == 1.0F, "real = scale * (stored + offset)");
}

void signedFixedPoint() {
  uint32_t n = 1;
  Qnn_Tensor_t tensor = tensorOf(QNN_DATATYPE_SFIXED_POINT_16, &n);
  tensor.v1.quantizeParams = {
      QNN_DEFINITION_DEFINED, QNN_QUANTIZATION_ENCODING_SCALE_OFFSET, {{2.0F, 0}}};
  const std::vector<int16_t> expected = {-2, 32767, -32768};
  expect(pack<int16_t>(tensor, {-4.0F, 1e6F, -1e6F}) == expected, "signed fixed point saturates");
}

void integersAreCounted() {
  uint32_t n = 1;
  const Qnn_Tensor_t tensor = tensorOf(QNN_DATATYPE_INT_32, &n);
  const std::vector<int32_t> expected = {-3, std::numeric_limits<int32_t>::max()};
  expect(pack<int32_t>(tensor, {-3.0F, 1e20F}) == expected, "integers saturate");
}

void perAxisHasNoFloatForm() {
  uint32_t n = 1;
  Qnn_Tensor_t tensor = tensorOf(QNN_DATATYPE_SFIXED_POINT_8, &n);
  bool refused = false;
  try {
    pack<int8_t>(tensor, {1.0F});
  } catch (const openqnn::Failure& failure) {
    refused = failure.code() == openqnn::Exit::input;
  }
  expect(refused, "a fixed-point tensor without one scale is refused");
}

}  // namespace

int main() {
  const std::vector<std::function<void()>> tests = {everyHalfSurvives,   halvesRoundToNearestEven,
                                                    fixedPointSaturates, signedFixedPoint,
                                                    integersAreCounted,  perAxisHasNoFloatForm};
  for (const auto& test : tests) test();
  std::printf("%zu tests, %d failures\n", tests.size(), failures);
  return failures == 0 ? 0 : 1;
}
