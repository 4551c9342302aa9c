/** Types, macros and helpers that generated models share with the programs that load them. */
#pragma once

#include <cstdint>

#include "QnnGraph.h"
#include "QnnModelPal.hpp"
#include "QnnTypes.h"

namespace qnn_wrapper_api {

typedef enum ModelError {
  MODEL_NO_ERROR = 0,
  MODEL_TENSOR_ERROR = 1,
  MODEL_PARAMS_ERROR = 2,
  MODEL_NODES_ERROR = 3,
  MODEL_GRAPH_ERROR = 4,
  MODEL_CONTEXT_ERROR = 5,
  MODEL_GENERATION_ERROR = 6,
  MODEL_SETUP_ERROR = 7,
  MODEL_INVALID_ARGUMENT_ERROR = 8,
  MODEL_FILE_ERROR = 9,
  MODEL_MEMORY_ALLOCATE_ERROR = 10,
  MODEL_UNKNOWN_ERROR = 0x7FFFFFFF
} ModelError_t;

/** A composed graph and copies of its inputs and outputs, owned by the model library. */
typedef struct GraphInfo {
  Qnn_GraphHandle_t graph;
  char* graphName;
  Qnn_Tensor_t* inputTensors;
  uint32_t numInputTensors;
  Qnn_Tensor_t* outputTensors;
  uint32_t numOutputTensors;
} GraphInfo_t;
typedef GraphInfo_t* GraphInfoPtr_t;

/** Configurations for the graph of that name; the list ends with a null pointer. */
typedef struct GraphConfigInfo {
  char* graphName;
  const QnnGraph_Config_t** graphConfigs;
} GraphConfigInfo_t;

class QnnModel;

/**
 * Find the configurations meant for one graph.
 *
 * `configs` stays null where no configurations were passed at all. Configurations that are all for
 * other graphs are an error: a misspelt name would otherwise compile with the defaults unseen.
 */
ModelError_t getQnnGraphConfigFromInfo(const char* graphName, const GraphConfigInfo_t** infos,
                                       uint32_t numInfos, const QnnGraph_Config_t**& configs);

/** Describe `numModels` composed models; the caller gives the result back to `freeGraphsInfo`. */
ModelError_t getGraphInfoFromModels(QnnModel* models, uint32_t numModels, GraphInfoPtr_t** infos);

/** Free what `getGraphInfoFromModels` made and set `*infos` to null; null is allowed. */
ModelError_t freeGraphsInfo(GraphInfoPtr_t** infos, uint32_t numInfos);

/** The members that all tensor versions share; version 2 only adds members behind them. */
inline const Qnn_TensorV1_t& common(const Qnn_Tensor_t& tensor) { return tensor.v1; }
inline Qnn_TensorV1_t& common(Qnn_Tensor_t& tensor) { return tensor.v1; }

/** Copy a tensor with its name, dimensions and encodings; its data is shared, not copied. */
Qnn_Tensor_t copyTensor(const Qnn_Tensor_t& tensor);

/** Free what `copyTensor` made. */
void freeTensor(Qnn_Tensor_t& tensor);

/** Bytes of a tensor's dense data, or 0 where the type has no fixed width. */
uint64_t tensorBytes(const Qnn_Tensor_t& tensor);

}  // namespace qnn_wrapper_api

/** Leave the enclosing function with the error of `call`, saying which call it was. */
#define VALIDATE(call, error)                                                         \
  do {                                                                                \
    error = (call);                                                                   \
    if (error != qnn_wrapper_api::MODEL_NO_ERROR) {                                   \
      qnn_wrapper_api::printError("%s: error %d in %s", __func__, (int)error, #call); \
      return error;                                                                   \
    }                                                                                 \
  } while (0)

/** Start and length of the weight `name`, by the symbols objcopy gives `obj/binary/<name>.raw`. */
#define BINVARSTART(name)                                         \
  ({                                                              \
    extern const uint8_t _binary_obj_binary_##name##_raw_start[]; \
    const_cast<uint8_t*>(_binary_obj_binary_##name##_raw_start);  \
  })
#define BINVAREND(name)                                         \
  ({                                                            \
    extern const uint8_t _binary_obj_binary_##name##_raw_end[]; \
    const_cast<uint8_t*>(_binary_obj_binary_##name##_raw_end);  \
  })
#define BINLEN(name) (static_cast<uint32_t>(BINVAREND(name) - BINVARSTART(name)))
