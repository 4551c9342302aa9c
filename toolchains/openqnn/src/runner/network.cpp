#include "network.hpp"

#include <chrono>

#include "tensor.hpp"

namespace openqnn {

std::vector<float> values(const Qnn_Tensor_t& tensor) {
  std::vector<float> numbers(elementCount(tensor));
  toFloat(tensor, common(tensor).clientBuf.data, numbers.data());
  return numbers;
}

Network::Network(const Backend& backend, const std::string& path, const MappedFile& file,
                 const BinaryInfo& info, const QnnDevice_Config_t** configs) {
  const QnnSystemContext_GraphInfoV3_t& graph = info.get().graphs[0].graphInfoV3;
  if (info.get().numGraphs != 1 || graph.numGraphInputs != 1 || graph.numGraphOutputs == 0) {
    throw Failure(Exit::graph, path + " does not hold one network with one input and an output.");
  }
  device_ = createDevice(backend, configs);
  context_ = createContextFromBinary(backend, device_.get(), file.data(), file.size(), path);
  Qnn_GraphHandle_t handle = nullptr;
  backend.check(backend.api().graphRetrieve(context_.get(), graph.graphName, &handle), Exit::graph,
                std::string("The context does not give graph ") + graph.graphName);
  runner_ = std::make_unique<Runner>(backend, handle, graph.graphName, graph.graphInputs, 1,
                                     graph.graphOutputs, graph.numGraphOutputs, FileFormat{});
}

void Network::load(const std::vector<float>& values) {
  fromFloat(input(), values.data(), common(input()).clientBuf.data);
}

double Network::run() {
  using Clock = std::chrono::steady_clock;
  const auto start = Clock::now();
  runner_->execute(nullptr);
  return std::chrono::duration<double, std::micro>(Clock::now() - start).count();
}

void Network::save(const std::string& path) const {
  if (outputs().size() > 1) {
    makeFolders(path);
    runner_->save(path);
    return;
  }
  const std::vector<float> numbers = values(outputs().front());
  writeFile(path, numbers.data(), numbers.size() * sizeof(float));
}

}  // namespace openqnn
