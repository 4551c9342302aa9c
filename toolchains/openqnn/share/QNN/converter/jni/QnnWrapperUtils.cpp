#include "QnnWrapperUtils.hpp"

#include <cstdlib>
#include <cstring>

#include "QnnModel.hpp"

namespace qnn_wrapper_api {

namespace {

template <typename T>
T* copyArray(const T* source, uint32_t count) {
  if (source == nullptr || count == 0) return nullptr;
  T* copy = static_cast<T*>(std::calloc(count, sizeof(T)));
  if (copy != nullptr) std::memcpy(copy, source, count * sizeof(T));
  return copy;
}

char* copyString(const char* text) { return text == nullptr ? nullptr : ::strdup(text); }

void copyEncoding(Qnn_QuantizeParams_t& params) {
  if (params.encodingDefinition != QNN_DEFINITION_DEFINED) return;
  if (params.quantizationEncoding == QNN_QUANTIZATION_ENCODING_AXIS_SCALE_OFFSET) {
    Qnn_AxisScaleOffset_t& axis = params.axisScaleOffsetEncoding;
    axis.scaleOffset = copyArray(axis.scaleOffset, axis.numScaleOffsets);
  } else if (params.quantizationEncoding == QNN_QUANTIZATION_ENCODING_BW_AXIS_SCALE_OFFSET) {
    Qnn_BwAxisScaleOffset_t& axis = params.bwAxisScaleOffsetEncoding;
    axis.scales = copyArray(axis.scales, axis.numElements);
    axis.offsets = copyArray(axis.offsets, axis.numElements);
  }
}

void freeEncoding(Qnn_QuantizeParams_t& params) {
  if (params.encodingDefinition != QNN_DEFINITION_DEFINED) return;
  if (params.quantizationEncoding == QNN_QUANTIZATION_ENCODING_AXIS_SCALE_OFFSET) {
    std::free(params.axisScaleOffsetEncoding.scaleOffset);
  } else if (params.quantizationEncoding == QNN_QUANTIZATION_ENCODING_BW_AXIS_SCALE_OFFSET) {
    std::free(params.bwAxisScaleOffsetEncoding.scales);
    std::free(params.bwAxisScaleOffsetEncoding.offsets);
  }
}

Qnn_Tensor_t* copyTensors(const std::vector<Qnn_Tensor_t>& tensors) {
  auto* copies = static_cast<Qnn_Tensor_t*>(std::calloc(tensors.size() + 1, sizeof(Qnn_Tensor_t)));
  if (copies == nullptr) return nullptr;
  for (size_t i = 0; i < tensors.size(); ++i) copies[i] = copyTensor(tensors[i]);
  return copies;
}

void freeTensors(Qnn_Tensor_t* tensors, uint32_t count) {
  if (tensors == nullptr) return;
  for (uint32_t i = 0; i < count; ++i) freeTensor(tensors[i]);
  std::free(tensors);
}

ModelError_t describe(const QnnModel& model, GraphInfo_t& info) {
  info.graph = model.graph();
  info.graphName = copyString(model.name().c_str());
  info.inputTensors = copyTensors(model.inputs());
  info.numInputTensors = static_cast<uint32_t>(model.inputs().size());
  info.outputTensors = copyTensors(model.outputs());
  info.numOutputTensors = static_cast<uint32_t>(model.outputs().size());
  const bool whole = info.graphName && info.inputTensors && info.outputTensors;
  return whole ? MODEL_NO_ERROR : MODEL_MEMORY_ALLOCATE_ERROR;
}

/** Bits an element takes: the last two hexadecimal digits of the type, read as decimal. */
uint32_t elementBits(Qnn_DataType_t type) {
  if (type == QNN_DATATYPE_STRING || type == QNN_DATATYPE_UNDEFINED) return 0;
  const uint32_t code = static_cast<uint32_t>(type);
  return (code >> 4 & 0xF) * 10 + (code & 0xF);
}

}  // namespace

uint64_t tensorBytes(const Qnn_Tensor_t& tensor) {
  const Qnn_TensorV1_t& t = common(tensor);
  const uint32_t bits = elementBits(t.dataType);
  // Four-bit elements take a byte each unless they were packed; the size then says nothing.
  uint64_t bytes = bits < 8 ? 0 : bits / 8;
  for (uint32_t i = 0; i < t.rank; ++i) bytes *= t.dimensions[i];
  return bytes;
}

Qnn_Tensor_t copyTensor(const Qnn_Tensor_t& tensor) {
  Qnn_Tensor_t copy = tensor;
  Qnn_TensorV1_t& t = common(copy);
  t.name = copyString(t.name);
  t.dimensions = copyArray(t.dimensions, t.rank);
  copyEncoding(t.quantizeParams);
  if (copy.version == QNN_TENSOR_VERSION_2) {
    copy.v2.isDynamicDimensions = copyArray(copy.v2.isDynamicDimensions, t.rank);
  }
  return copy;
}

void freeTensor(Qnn_Tensor_t& tensor) {
  Qnn_TensorV1_t& t = common(tensor);
  std::free(const_cast<char*>(t.name));
  std::free(t.dimensions);
  freeEncoding(t.quantizeParams);
  if (tensor.version == QNN_TENSOR_VERSION_2) std::free(tensor.v2.isDynamicDimensions);
}

ModelError_t getQnnGraphConfigFromInfo(const char* graphName, const GraphConfigInfo_t** infos,
                                       uint32_t numInfos, const QnnGraph_Config_t**& configs) {
  if (infos == nullptr || numInfos == 0) return MODEL_NO_ERROR;
  for (uint32_t i = 0; i < numInfos; ++i) {
    if (infos[i] == nullptr || infos[i]->graphName == nullptr) return MODEL_INVALID_ARGUMENT_ERROR;
    if (std::strcmp(infos[i]->graphName, graphName) == 0) {
      configs = infos[i]->graphConfigs;
      return MODEL_NO_ERROR;
    }
  }
  printError("the configuration is for graph \"%s\", this library holds \"%s\"",
             infos[0]->graphName, graphName);
  return MODEL_INVALID_ARGUMENT_ERROR;
}

ModelError_t getGraphInfoFromModels(QnnModel* models, uint32_t numModels, GraphInfoPtr_t** infos) {
  if (models == nullptr || numModels == 0 || infos == nullptr) return MODEL_INVALID_ARGUMENT_ERROR;
  auto** list = static_cast<GraphInfo_t**>(std::calloc(numModels, sizeof(GraphInfo_t*)));
  auto* all = static_cast<GraphInfo_t*>(std::calloc(numModels, sizeof(GraphInfo_t)));
  if (list == nullptr || all == nullptr) {
    std::free(list);
    std::free(all);
    return MODEL_MEMORY_ALLOCATE_ERROR;
  }
  ModelError_t error = MODEL_NO_ERROR;
  for (uint32_t i = 0; i < numModels; ++i) list[i] = &all[i];
  for (uint32_t i = 0; i < numModels && error == MODEL_NO_ERROR; ++i) {
    error = describe(models[i], all[i]);
  }
  if (error != MODEL_NO_ERROR) freeGraphsInfo(&list, numModels);
  *infos = list;
  return error;
}

ModelError_t freeGraphsInfo(GraphInfoPtr_t** infos, uint32_t numInfos) {
  if (infos == nullptr || *infos == nullptr) return MODEL_NO_ERROR;
  for (uint32_t i = 0; i < numInfos; ++i) {
    GraphInfo_t& info = *(*infos)[i];
    std::free(info.graphName);
    freeTensors(info.inputTensors, info.numInputTensors);
    freeTensors(info.outputTensors, info.numOutputTensors);
  }
  // The descriptions were allocated in one piece, whose start is the first one's address.
  if (numInfos > 0) std::free((*infos)[0]);
  std::free(*infos);
  *infos = nullptr;
  return MODEL_NO_ERROR;
}

}  // namespace qnn_wrapper_api
