/** A model library and the graphs it composes. */
#pragma once

#include <string>
#include <vector>

#include "QnnWrapperUtils.hpp"
#include "backend.hpp"

namespace openqnn {

using GraphInfo = qnn_wrapper_api::GraphInfo_t;

/** The C++ form of a generated model's two exports. */
using ComposeGraphs = qnn_wrapper_api::ModelError_t (*)(Qnn_BackendHandle_t, QNN_INTERFACE_VER_TYPE,
                                                        Qnn_ContextHandle_t,
                                                        const qnn_wrapper_api::GraphConfigInfo_t**,
                                                        uint32_t, qnn_wrapper_api::GraphInfoPtr_t**,
                                                        uint32_t*, bool, QnnLog_Callback_t,
                                                        QnnLog_Level_t);
using FreeGraphsInfo = qnn_wrapper_api::ModelError_t (*)(qnn_wrapper_api::GraphInfoPtr_t**,
                                                         uint32_t);

class ModelLibrary {
 public:
  /** @param prefix of the exports, `QnnModel` unless the converter was told otherwise */
  ModelLibrary(const std::string& path, const std::string& prefix);
  ModelLibrary(ModelLibrary&& other) noexcept;
  ~ModelLibrary();

  /** Compose all graphs in a context; `debug` makes intermediate tensors outputs. */
  void compose(const Backend& backend, Qnn_ContextHandle_t context,
               const qnn_wrapper_api::GraphConfigInfo_t** configs, uint32_t numConfigs, bool debug);

  std::vector<const GraphInfo*> graphs() const;

  /** Give back the memory of the weights; the backend has copies of its own once they are composed.
   */
  void releaseWeights() const { library_.releaseMemory(); }

 private:
  [[noreturn]] void failed(qnn_wrapper_api::ModelError_t error) const;

  SharedLibrary library_;
  ComposeGraphs composeGraphs_;
  FreeGraphsInfo freeGraphsInfo_;
  qnn_wrapper_api::GraphInfoPtr_t* infos_ = nullptr;
  uint32_t count_ = 0;
};

/** Load the libraries of a comma-separated list. */
std::vector<ModelLibrary> loadModels(const std::string& paths, const std::string& prefix);

}  // namespace openqnn
