/** One graph under composition: what the functions of a generated model call. */
#pragma once

#include <map>
#include <string>
#include <vector>

#include "QnnInterface.h"
#include "QnnWrapperUtils.hpp"

namespace qnn_wrapper_api {

/**
 * Creates a graph in a context, then its tensors and nodes, in the order of the calls.
 *
 * Tensors are found again by name when a node takes them as input, so every name is unique. The
 * arguments need to live only as long as a call; data of static tensors must outlive the graph.
 */
class QnnModel {
 public:
  QnnModel() = default;
  QnnModel(const QnnModel&) = delete;
  QnnModel& operator=(const QnnModel&) = delete;
  ~QnnModel();

  /**
   * Create the graph. With `debug` every intermediate tensor becomes an output; with
   * `doNodeValidations` the backend is asked about each node before it is added.
   */
  ModelError_t initialize(const Qnn_BackendHandle_t& backend,
                          const QNN_INTERFACE_VER_TYPE& interface,
                          const Qnn_ContextHandle_t& context, const char* graphName, bool debug,
                          uint8_t doNodeValidations = 1,
                          const QnnGraph_Config_t** graphConfigs = nullptr);

  /** Create an input, output or static tensor; the data of a static one must fit its dimensions. */
  ModelError_t addTensor(const char* name, Qnn_Tensor_t tensor, bool saveTensor = true);

  /** Create the tensor parameters and outputs of a node, then the node. */
  ModelError_t addNode(Qnn_OpConfigVersion_t version, const char* name, const char* packageName,
                       const char* type, Qnn_Param_t* params, uint32_t numOfParams,
                       const char** inputNames, uint32_t numOfInputs, Qnn_Tensor_t* outputTensors,
                       uint32_t numOfOutputs);

  Qnn_GraphHandle_t graph() const { return graph_; }
  const std::string& name() const { return name_; }
  const std::vector<Qnn_Tensor_t>& inputs() const { return inputs_; }
  const std::vector<Qnn_Tensor_t>& outputs() const { return outputs_; }

 private:
  ModelError_t createTensor(Qnn_Tensor_t& tensor);
  ModelError_t createParams(const char* node, Qnn_Param_t* params, uint32_t count);
  ModelError_t findInputs(const char* node, const char** names, uint32_t count,
                          std::vector<Qnn_Tensor_t>& found) const;
  ModelError_t createOutputs(Qnn_Tensor_t* tensors, uint32_t count);
  void save(const char* name, const Qnn_Tensor_t& tensor);

  Qnn_BackendHandle_t backend_ = nullptr;
  QNN_INTERFACE_VER_TYPE interface_{};
  Qnn_GraphHandle_t graph_ = nullptr;
  std::string name_;
  bool debug_ = false;
  bool doNodeValidations_ = true;
  std::map<std::string, Qnn_Tensor_t> tensors_;
  std::vector<Qnn_Tensor_t> inputs_;  // these two share what `tensors_` owns
  std::vector<Qnn_Tensor_t> outputs_;
};

}  // namespace qnn_wrapper_api
