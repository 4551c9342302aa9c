#include "session.hpp"

#include <algorithm>

namespace openqnn {

namespace {

void checkNames(const Config& config, const std::vector<const GraphInfo*>& graphs) {
  for (const GraphConfig& graph : config.graphs) {
    for (const std::string& name : graph.names) {
      const bool present =
          std::any_of(graphs.begin(), graphs.end(),
                      [&](const GraphInfo* graph) { return name == graph->graphName; });
      if (!present)
        throw Failure(Exit::graph,
                      "The configuration is for a graph " + name + " that no model holds.");
    }
  }
}

}  // namespace

std::vector<Option> sessionOptions() {
  return {{"backend", "LIB", "backend library, e.g. libQnnHtp.so"},
          {"model", "LIB[,LIB]", "model libraries made by qnn-model-lib-generator"},
          {"model_prefix", "NAME", "prefix of their exports (QnnModel)"},
          {"config_file", "JSON", "backend_extensions: the level 1 configuration"},
          {"output_dir", "DIR", "where everything is written (./output)"},
          {"profiling_level", "LEVEL", "basic or detailed"},
          {"log_level", "LEVEL", "error, warn, info, verbose or debug (error)"}};
}

Config configOf(const Arguments& arguments) {
  return arguments.has("config_file") ? readConfig(arguments.value("config_file")) : Config{};
}

Compiled::Compiled(const Backend& backend, std::vector<ModelLibrary>& models, const Config& config,
                   bool debug, Qnn_ProfileHandle_t profile)
    : deviceConfigs_(config.device), graphConfigs_(config.graphs) {
  device_ = createDevice(backend, deviceConfigs_.list());
  context_ = createContext(backend, device_.get(), nullptr);
  for (ModelLibrary& model : models) {
    model.compose(backend, context_.get(), graphConfigs_.infos(), graphConfigs_.count(), debug);
    model.releaseWeights();
    for (const GraphInfo* graph : model.graphs()) graphs_.push_back(graph);
  }
  checkNames(config, graphs_);
  for (const GraphInfo* graph : graphs_) {
    backend.check(backend.api().graphFinalize(graph->graph, profile, nullptr), Exit::compile,
                  std::string("Graph ") + graph->graphName + " cannot be compiled");
  }
}

}  // namespace openqnn
