/** Creation of the tensors of a graph. */
#ifndef QNN_TENSOR_H
#define QNN_TENSOR_H

#include "QnnTypes.h"

/** Fills in the tensor's id. */
typedef Qnn_ErrorHandle_t (*QnnTensor_CreateContextTensorFn_t)(Qnn_ContextHandle_t context,
                                                               Qnn_Tensor_t* tensor);
typedef Qnn_ErrorHandle_t (*QnnTensor_CreateGraphTensorFn_t)(Qnn_GraphHandle_t graph,
                                                             Qnn_Tensor_t* tensor);

#endif
