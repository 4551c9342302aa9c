#include "QnnModel.hpp"

namespace qnn_wrapper_api {

QnnModel::~QnnModel() {
  for (auto& entry : tensors_) freeTensor(entry.second);
}

ModelError_t QnnModel::initialize(const Qnn_BackendHandle_t& backend,
                                  const QNN_INTERFACE_VER_TYPE& interface,
                                  const Qnn_ContextHandle_t& context, const char* graphName,
                                  bool debug, uint8_t doNodeValidations,
                                  const QnnGraph_Config_t** graphConfigs) {
  if (backend == nullptr || context == nullptr || graphName == nullptr || graph_ != nullptr) {
    return MODEL_INVALID_ARGUMENT_ERROR;
  }
  backend_ = backend;
  interface_ = interface;
  name_ = graphName;
  debug_ = debug;
  doNodeValidations_ = doNodeValidations != 0;
  const Qnn_ErrorHandle_t error = interface_.graphCreate(context, graphName, graphConfigs, &graph_);
  if (error == QNN_SUCCESS && graph_ != nullptr) return MODEL_NO_ERROR;
  printError("graph \"%s\": the backend refuses to create it (error %llu)", graphName,
             static_cast<unsigned long long>(QNN_GET_ERROR_CODE(error)));
  return MODEL_GRAPH_ERROR;
}

ModelError_t QnnModel::addTensor(const char* name, Qnn_Tensor_t tensor, bool saveTensor) {
  const Qnn_TensorV1_t& t = common(tensor);
  if (tensors_.count(name) != 0) {
    printError("tensor \"%s\" exists already", name);
    return MODEL_TENSOR_ERROR;
  }
  const uint64_t bytes = tensorBytes(tensor);
  if (t.type == QNN_TENSOR_TYPE_STATIC && bytes != 0 && bytes != t.clientBuf.dataSize) {
    printError("tensor \"%s\": its dimensions need %llu bytes, its data has %u", name,
               static_cast<unsigned long long>(bytes), t.clientBuf.dataSize);
    return MODEL_TENSOR_ERROR;
  }
  const ModelError_t error = createTensor(tensor);
  if (error == MODEL_NO_ERROR && saveTensor) save(name, tensor);
  return error;
}

ModelError_t QnnModel::addNode(Qnn_OpConfigVersion_t version, const char* name,
                               const char* packageName, const char* type, Qnn_Param_t* params,
                               uint32_t numOfParams, const char** inputNames, uint32_t numOfInputs,
                               Qnn_Tensor_t* outputTensors, uint32_t numOfOutputs) {
  std::vector<Qnn_Tensor_t> inputs;
  ModelError_t error = MODEL_NO_ERROR;
  VALIDATE(createParams(name, params, numOfParams), error);
  VALIDATE(findInputs(name, inputNames, numOfInputs, inputs), error);
  VALIDATE(createOutputs(outputTensors, numOfOutputs), error);

  Qnn_OpConfig_t config{};
  config.version = version;
  config.v1 = {name,        packageName,   type,         numOfParams,  params,
               numOfInputs, inputs.data(), numOfOutputs, outputTensors};
  if (doNodeValidations_) {
    const Qnn_ErrorHandle_t refused = interface_.backendValidateOpConfig(backend_, config);
    if (refused != QNN_SUCCESS) {
      printError("node \"%s\" (%s): the backend does not accept it (error %llu)", name, type,
                 static_cast<unsigned long long>(QNN_GET_ERROR_CODE(refused)));
      return MODEL_NODES_ERROR;
    }
  }
  const Qnn_ErrorHandle_t refused = interface_.graphAddNode(graph_, config);
  if (refused == QNN_SUCCESS) return MODEL_NO_ERROR;
  printError("node \"%s\" (%s): the backend cannot add it (error %llu)", name, type,
             static_cast<unsigned long long>(QNN_GET_ERROR_CODE(refused)));
  return MODEL_NODES_ERROR;
}

ModelError_t QnnModel::createTensor(Qnn_Tensor_t& tensor) {
  const Qnn_ErrorHandle_t error = interface_.tensorCreateGraphTensor(graph_, &tensor);
  if (error == QNN_SUCCESS) return MODEL_NO_ERROR;
  printError("tensor \"%s\": the backend cannot create it (error %llu)", common(tensor).name,
             static_cast<unsigned long long>(QNN_GET_ERROR_CODE(error)));
  return MODEL_TENSOR_ERROR;
}

ModelError_t QnnModel::createParams(const char* node, Qnn_Param_t* params, uint32_t count) {
  for (uint32_t i = 0; i < count; ++i) {
    if (params[i].paramType != QNN_PARAMTYPE_TENSOR) continue;
    if (createTensor(params[i].tensorParam) == MODEL_NO_ERROR) continue;
    printError("node \"%s\": parameter \"%s\" failed", node, params[i].name);
    return MODEL_PARAMS_ERROR;
  }
  return MODEL_NO_ERROR;
}

ModelError_t QnnModel::findInputs(const char* node, const char** names, uint32_t count,
                                  std::vector<Qnn_Tensor_t>& found) const {
  for (uint32_t i = 0; i < count; ++i) {
    const auto entry = tensors_.find(names[i]);
    if (entry == tensors_.end()) {
      printError("node \"%s\": no tensor \"%s\" was added before it", node, names[i]);
      return MODEL_TENSOR_ERROR;
    }
    found.push_back(entry->second);
  }
  return MODEL_NO_ERROR;
}

ModelError_t QnnModel::createOutputs(Qnn_Tensor_t* tensors, uint32_t count) {
  for (uint32_t i = 0; i < count; ++i) {
    Qnn_TensorV1_t& t = common(tensors[i]);
    if (debug_ && t.type == QNN_TENSOR_TYPE_NATIVE) t.type = QNN_TENSOR_TYPE_APP_READ;
    ModelError_t error = MODEL_NO_ERROR;
    VALIDATE(addTensor(t.name, tensors[i]), error);
    common(tensors[i]).id = common(tensors_.at(t.name)).id;
  }
  return MODEL_NO_ERROR;
}

void QnnModel::save(const char* name, const Qnn_Tensor_t& tensor) {
  const Qnn_Tensor_t copy = copyTensor(tensor);
  tensors_.emplace(name, copy);
  if (common(copy).type == QNN_TENSOR_TYPE_APP_WRITE) inputs_.push_back(copy);
  if (common(copy).type == QNN_TENSOR_TYPE_APP_READ) outputs_.push_back(copy);
}

}  // namespace qnn_wrapper_api
