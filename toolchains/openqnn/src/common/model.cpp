#include "model.hpp"

#include <utility>

#include "arguments.hpp"

namespace openqnn {

namespace {

const char* nameOf(qnn_wrapper_api::ModelError_t error) {
  switch (error) {
    case qnn_wrapper_api::MODEL_TENSOR_ERROR: return "a tensor";
    case qnn_wrapper_api::MODEL_PARAMS_ERROR: return "a node's parameter";
    case qnn_wrapper_api::MODEL_NODES_ERROR: return "a node";
    case qnn_wrapper_api::MODEL_GRAPH_ERROR: return "the graph itself";
    case qnn_wrapper_api::MODEL_MEMORY_ALLOCATE_ERROR: return "memory";
    default: return "its own calls";
  }
}

}  // namespace

ModelLibrary::ModelLibrary(const std::string& path, const std::string& prefix)
    : library_(path),
      composeGraphs_(library_.function<ComposeGraphs>(prefix + "_composeGraphs")),
      freeGraphsInfo_(library_.function<FreeGraphsInfo>(prefix + "_freeGraphsInfo")) {}

ModelLibrary::ModelLibrary(ModelLibrary&& other) noexcept
    : library_(std::move(other.library_)),
      composeGraphs_(other.composeGraphs_),
      freeGraphsInfo_(other.freeGraphsInfo_),
      infos_(std::exchange(other.infos_, nullptr)),
      count_(std::exchange(other.count_, 0)) {}

ModelLibrary::~ModelLibrary() {
  if (infos_ != nullptr) freeGraphsInfo_(&infos_, count_);
}

void ModelLibrary::compose(const Backend& backend, Qnn_ContextHandle_t context,
                           const qnn_wrapper_api::GraphConfigInfo_t** configs, uint32_t numConfigs,
                           bool debug) {
  const auto error = composeGraphs_(backend.handle(), backend.api(), context, configs, numConfigs,
                                    &infos_, &count_, debug, logToStderr, backend.logLevel());
  if (error != qnn_wrapper_api::MODEL_NO_ERROR) failed(error);
}

void ModelLibrary::failed(qnn_wrapper_api::ModelError_t error) const {
  if (error == qnn_wrapper_api::MODEL_INVALID_ARGUMENT_ERROR) {
    throw Failure(Exit::graph, library_.path() +
                                   ": the graph_names of the configuration are not "
                                   "those of its graphs.");
  }
  throw Failure(Exit::model, library_.path() + " cannot compose its graph: the backend refuses " +
                                 nameOf(error) + " (error " + std::to_string(error) +
                                 "; the lines above say which).");
}

std::vector<const GraphInfo*> ModelLibrary::graphs() const {
  return std::vector<const GraphInfo*>(infos_, infos_ + count_);
}

std::vector<ModelLibrary> loadModels(const std::string& paths, const std::string& prefix) {
  std::vector<ModelLibrary> models;
  for (const std::string& path : splitList(paths)) models.emplace_back(path, prefix);
  return models;
}

}  // namespace openqnn
