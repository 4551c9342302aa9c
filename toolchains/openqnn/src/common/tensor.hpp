/** Sizes, names and numbers of tensors. */
#pragma once

#include <cstddef>
#include <string>
#include <vector>

#include "QnnTypes.h"

namespace openqnn {

/** The members that both tensor versions share. */
inline const Qnn_TensorV1_t& common(const Qnn_Tensor_t& tensor) { return tensor.v1; }
inline Qnn_TensorV1_t& common(Qnn_Tensor_t& tensor) { return tensor.v1; }

/** `QNN_DATATYPE_FLOAT_32` and so on. */
std::string nameOf(Qnn_DataType_t type);

/** Bytes an element takes in memory; raises an input failure for types without a fixed width. */
size_t elementSize(Qnn_DataType_t type);

/** Raises an input failure where the number does not fit into memory. */
size_t elementCount(const Qnn_Tensor_t& tensor);

/** Bytes of a whole tensor in its own type; raises an input failure beyond what QNN can hold. */
uint32_t byteCount(const Qnn_Tensor_t& tensor);

/** `[1, 3, 224, 224]`. */
std::string shapeOf(const Qnn_Tensor_t& tensor);

/**
 * Fill a tensor's own bytes from real numbers: rounded to the nearest, ties to even, and held in
 * the type's range. `native` has elementCount * elementSize bytes.
 */
void fromFloat(const Qnn_Tensor_t& tensor, const float* values, void* native);

/** The reverse. */
void toFloat(const Qnn_Tensor_t& tensor, const void* native, float* values);

}  // namespace openqnn
