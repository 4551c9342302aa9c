/** Composes the graph of a model library on a backend: compose BACKEND MODEL. */
#include <dlfcn.h>

#include <cstdio>

#include "QnnModel.hpp"

namespace {

using qnn_wrapper_api::GraphConfigInfo_t;
using qnn_wrapper_api::GraphInfoPtr_t;
using qnn_wrapper_api::ModelError_t;

using ComposeGraphs = ModelError_t (*)(Qnn_BackendHandle_t, QNN_INTERFACE_VER_TYPE,
                                       Qnn_ContextHandle_t, const GraphConfigInfo_t**,
                                       const uint32_t, GraphInfoPtr_t**, uint32_t*, bool,
                                       QnnLog_Callback_t, QnnLog_Level_t);

template <typename Function>
Function find(const char* path, const char* name) {
  void* library = dlopen(path, RTLD_NOW | RTLD_LOCAL);
  void* found   = library ? dlsym(library, name) : nullptr;
  if (!found) std::fprintf(stderr, "%s\n", dlerror());
  return reinterpret_cast<Function>(found);
}

int compose(QnnInterface_GetProvidersFn_t entry, ComposeGraphs model) {
  const QnnInterface_t** providers = nullptr;
  uint32_t count                   = 0;
  if (entry(&providers, &count) != QNN_SUCCESS || count == 0) return 2;
  const auto& api             = providers[0]->QNN_INTERFACE_VER_NAME;
  Qnn_BackendHandle_t backend = nullptr;
  Qnn_ContextHandle_t context = nullptr;
  if (api.backendCreate(nullptr, nullptr, &backend) != QNN_SUCCESS) return 3;
  if (api.contextCreate(backend, nullptr, nullptr, &context) != QNN_SUCCESS) return 4;
  GraphInfoPtr_t* graphs = nullptr;
  if (model(backend, api, context, nullptr, 0, &graphs, &count, false, nullptr,
            QNN_LOG_LEVEL_ERROR) != qnn_wrapper_api::MODEL_NO_ERROR) {
    return 5;
  }
  std::printf("%s\n", graphs[0]->graphName);
  return api.graphFinalize(graphs[0]->graph, nullptr, nullptr) == QNN_SUCCESS ? 0 : 6;
}

}  // namespace

int main(int argc, char** argv) {
  if (argc != 3) return 1;
  const auto entry = find<QnnInterface_GetProvidersFn_t>(argv[1], "QnnInterface_getProviders");
  const auto model = find<ComposeGraphs>(argv[2], "QnnModel_composeGraphs");
  return entry && model ? compose(entry, model) : 1;
}
