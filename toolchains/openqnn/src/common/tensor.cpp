#include "tensor.hpp"

#include <cmath>
#include <cstdint>
#include <cstring>
#include <limits>

#include "failure.hpp"

namespace openqnn {

namespace {

struct TypeName {
  Qnn_DataType_t type;
  const char* name;
  size_t size;
};

constexpr TypeName kTypes[] = {
    {QNN_DATATYPE_INT_8, "INT_8", 1},
    {QNN_DATATYPE_INT_16, "INT_16", 2},
    {QNN_DATATYPE_INT_32, "INT_32", 4},
    {QNN_DATATYPE_INT_64, "INT_64", 8},
    {QNN_DATATYPE_UINT_8, "UINT_8", 1},
    {QNN_DATATYPE_UINT_16, "UINT_16", 2},
    {QNN_DATATYPE_UINT_32, "UINT_32", 4},
    {QNN_DATATYPE_UINT_64, "UINT_64", 8},
    {QNN_DATATYPE_FLOAT_16, "FLOAT_16", 2},
    {QNN_DATATYPE_FLOAT_32, "FLOAT_32", 4},
    {QNN_DATATYPE_FLOAT_64, "FLOAT_64", 8},
    {QNN_DATATYPE_SFIXED_POINT_8, "SFIXED_POINT_8", 1},
    {QNN_DATATYPE_SFIXED_POINT_16, "SFIXED_POINT_16", 2},
    {QNN_DATATYPE_SFIXED_POINT_32, "SFIXED_POINT_32", 4},
    {QNN_DATATYPE_UFIXED_POINT_8, "UFIXED_POINT_8", 1},
    {QNN_DATATYPE_UFIXED_POINT_16, "UFIXED_POINT_16", 2},
    {QNN_DATATYPE_UFIXED_POINT_32, "UFIXED_POINT_32", 4},
    {QNN_DATATYPE_BOOL_8, "BOOL_8", 1},
};

/** IEEE 754 binary16, as its bits. */
struct Half {
  uint16_t bits;
};

float toReal(Half half) {
  const int exponent = half.bits >> 10 & 0x1F;
  const int fraction = half.bits & 0x3FF;
  const float sign = half.bits >> 15 != 0 ? -1.0F : 1.0F;
  if (exponent == 0x1F) return fraction != 0 ? std::nanf("") : sign * INFINITY;
  if (exponent == 0) return sign * std::ldexp(static_cast<float>(fraction), -24);
  return sign * std::ldexp(static_cast<float>(fraction + 0x400), exponent - 25);
}

Half toHalf(float value) {
  const uint16_t sign = std::signbit(value) ? 0x8000 : 0;
  const float size = std::fabs(value);
  if (std::isnan(value)) return {static_cast<uint16_t>(sign | 0x7E00)};
  if (size == 0.0F) return {sign};
  if (size >= 65520.0F) return {static_cast<uint16_t>(sign | 0x7C00)};
  int exponent = 0;
  std::frexp(size, &exponent);
  // The unit in the last place; it no longer shrinks among the subnormal numbers.
  const int unit = std::max(exponent - 11, -24);
  const auto fraction = static_cast<int>(std::nearbyint(std::ldexp(size, -unit)));
  // A fraction that rounds up to the next power of two carries into the exponent by itself.
  const int bits = unit == -24 ? fraction : ((unit + 24) << 10) + fraction;
  return {static_cast<uint16_t>(sign | bits)};
}

template <typename T>
T fromReal(double value) {
  constexpr double kLow = static_cast<double>(std::numeric_limits<T>::lowest());
  constexpr double kHigh = static_cast<double>(std::numeric_limits<T>::max());
  const double whole = std::isnan(value) ? 0.0 : std::nearbyint(value);
  if (whole <= kLow) return std::numeric_limits<T>::lowest();
  if (whole >= kHigh) return std::numeric_limits<T>::max();
  return static_cast<T>(whole);
}

template <typename T>
struct Convert {
  static T pack(double value) { return fromReal<T>(value); }
  static double unpack(T value) { return static_cast<double>(value); }
};
template <>
struct Convert<float> {
  static float pack(double value) { return static_cast<float>(value); }
  static double unpack(float value) { return value; }
};
template <>
struct Convert<double> {
  static double pack(double value) { return value; }
  static double unpack(double value) { return value; }
};
template <>
struct Convert<Half> {
  static Half pack(double value) { return toHalf(static_cast<float>(value)); }
  static double unpack(Half value) { return toReal(value); }
};

bool isFixedPoint(Qnn_DataType_t type) { return (type >> 8) == 3 || (type >> 8) == 4; }

/** real = scale * (stored + offset); one and zero for what is not quantised. */
Qnn_ScaleOffset_t scaleOf(const Qnn_Tensor_t& tensor) {
  const Qnn_TensorV1_t& t = common(tensor);
  const Qnn_QuantizeParams_t& params = t.quantizeParams;
  if (!isFixedPoint(t.dataType)) return {1.0F, 0};
  if (params.encodingDefinition == QNN_DEFINITION_DEFINED) {
    if (params.quantizationEncoding == QNN_QUANTIZATION_ENCODING_SCALE_OFFSET) {
      return params.scaleOffsetEncoding;
    }
    if (params.quantizationEncoding == QNN_QUANTIZATION_ENCODING_BW_SCALE_OFFSET) {
      return {params.bwScaleOffsetEncoding.scale, params.bwScaleOffsetEncoding.offset};
    }
  }
  throw Failure(Exit::input,
                std::string("Tensor ") + t.name +
                    " is quantised in a way that has no float form; use native files.");
}

template <typename T>
void packAll(const Qnn_Tensor_t& tensor, const float* values, void* native) {
  const Qnn_ScaleOffset_t q = scaleOf(tensor);
  const double scale = q.scale;
  for (size_t i = 0, n = elementCount(tensor); i < n; ++i) {
    // Adding an offset of zero would turn a negative zero into a positive one.
    const double stored = q.offset == 0 ? values[i] / scale : values[i] / scale - q.offset;
    const T element = Convert<T>::pack(stored);
    std::memcpy(static_cast<uint8_t*>(native) + i * sizeof(T), &element, sizeof(T));
  }
}

template <typename T>
void unpackAll(const Qnn_Tensor_t& tensor, const void* native, float* values) {
  const Qnn_ScaleOffset_t q = scaleOf(tensor);
  const double scale = q.scale;
  for (size_t i = 0, n = elementCount(tensor); i < n; ++i) {
    T element;
    std::memcpy(&element, static_cast<const uint8_t*>(native) + i * sizeof(T), sizeof(T));
    const double stored = Convert<T>::unpack(element);
    values[i] = static_cast<float>((q.offset == 0 ? stored : stored + q.offset) * scale);
  }
}

/** Call `action` with a value of the C++ type that a tensor's elements have. */
template <typename Action>
void withType(const Qnn_Tensor_t& tensor, Action action) {
  switch (common(tensor).dataType) {
    case QNN_DATATYPE_FLOAT_16: return action(Half{});
    case QNN_DATATYPE_FLOAT_32: return action(float{});
    case QNN_DATATYPE_FLOAT_64: return action(double{});
    case QNN_DATATYPE_INT_8:
    case QNN_DATATYPE_SFIXED_POINT_8: return action(int8_t{});
    case QNN_DATATYPE_INT_16:
    case QNN_DATATYPE_SFIXED_POINT_16: return action(int16_t{});
    case QNN_DATATYPE_INT_32:
    case QNN_DATATYPE_SFIXED_POINT_32: return action(int32_t{});
    case QNN_DATATYPE_INT_64: return action(int64_t{});
    case QNN_DATATYPE_BOOL_8:
    case QNN_DATATYPE_UINT_8:
    case QNN_DATATYPE_UFIXED_POINT_8: return action(uint8_t{});
    case QNN_DATATYPE_UINT_16:
    case QNN_DATATYPE_UFIXED_POINT_16: return action(uint16_t{});
    case QNN_DATATYPE_UINT_32:
    case QNN_DATATYPE_UFIXED_POINT_32: return action(uint32_t{});
    case QNN_DATATYPE_UINT_64: return action(uint64_t{});
    default:
      throw Failure(Exit::input, std::string("Tensor ") + common(tensor).name + " of type " +
                                     nameOf(common(tensor).dataType) + " has no float form.");
  }
}

[[noreturn]] void tooLarge(const Qnn_Tensor_t& tensor) {
  throw Failure(Exit::input, std::string("Tensor ") + common(tensor).name + " " + shapeOf(tensor) +
                                 " is too large for QNN.");
}

}  // namespace

std::string nameOf(Qnn_DataType_t type) {
  for (const TypeName& row : kTypes) {
    if (row.type == type) return std::string("QNN_DATATYPE_") + row.name;
  }
  return "QNN_DATATYPE_UNDEFINED";
}

size_t elementSize(Qnn_DataType_t type) {
  for (const TypeName& row : kTypes) {
    if (row.type == type) return row.size;
  }
  throw Failure(Exit::input,
                "Elements of type number " + std::to_string(type) + " have no fixed width.");
}

size_t elementCount(const Qnn_Tensor_t& tensor) {
  size_t count = 1;
  for (uint32_t i = 0; i < common(tensor).rank; ++i) {
    if (__builtin_mul_overflow(count, common(tensor).dimensions[i], &count)) tooLarge(tensor);
  }
  return count;
}

uint32_t byteCount(const Qnn_Tensor_t& tensor) {
  uint32_t bytes = 0;
  const size_t width = elementSize(common(tensor).dataType);
  if (__builtin_mul_overflow(elementCount(tensor), width, &bytes)) tooLarge(tensor);
  return bytes;
}

std::string shapeOf(const Qnn_Tensor_t& tensor) {
  std::string text;
  for (uint32_t i = 0; i < common(tensor).rank; ++i) {
    text += (i == 0 ? "" : ", ") + std::to_string(common(tensor).dimensions[i]);
  }
  return "[" + text + "]";
}

void fromFloat(const Qnn_Tensor_t& tensor, const float* values, void* native) {
  withType(tensor, [&](auto type) { packAll<decltype(type)>(tensor, values, native); });
}

void toFloat(const Qnn_Tensor_t& tensor, const void* native, float* values) {
  withType(tensor, [&](auto type) { unpackAll<decltype(type)>(tensor, native, values); });
}

}  // namespace openqnn
