#include "probe.hpp"

#include <vector>

#include "binary_info.hpp"
#include "htp.hpp"

namespace openqnn {

namespace {

constexpr const char* kName = "probe";
constexpr uint32_t kMega = 1 << 20;

Qnn_Tensor_t tensor(const char* name, Qnn_TensorType_t type, uint32_t* dimensions) {
  Qnn_Tensor_t made{};
  made.version = QNN_TENSOR_VERSION_1;
  made.v1.name = name;
  made.v1.type = type;
  made.v1.dataType = QNN_DATATYPE_UFIXED_POINT_8;
  made.v1.quantizeParams = {
      QNN_DEFINITION_DEFINED, QNN_QUANTIZATION_ENCODING_SCALE_OFFSET, {{1.0F, 0}}};
  made.v1.rank = 1;
  made.v1.dimensions = dimensions;
  return made;
}

void addNode(const Backend& backend, Qnn_GraphHandle_t graph) {
  uint32_t dimensions[] = {32};
  Qnn_Tensor_t in = tensor("in", QNN_TENSOR_TYPE_APP_WRITE, dimensions);
  Qnn_Tensor_t out = tensor("out", QNN_TENSOR_TYPE_APP_READ, dimensions);
  Qnn_OpConfig_t node{};
  node.version = QNN_OPCONFIG_VERSION_1;
  node.v1 = {"relu", "qti.aisw", "Relu", 0, nullptr, 1, &in, 1, &out};
  const Api& api = backend.api();
  const char* what = "The compiler cannot compile for this device";
  backend.check(api.tensorCreateGraphTensor(graph, &in), Exit::target, what);
  backend.check(api.tensorCreateGraphTensor(graph, &out), Exit::target, what);
  backend.check(api.graphAddNode(graph, node), Exit::target, what);
  backend.check(api.graphFinalize(graph, nullptr, nullptr), Exit::target, what);
}

std::vector<uint8_t> compile(const Backend& backend, const DeviceConfig& device,
                             const GraphConfig& graph) {
  HtpDeviceConfigs deviceConfigs(device);
  HtpGraphConfigs graphConfigs({graph});
  const auto owner = createDevice(backend, deviceConfigs.list());
  const auto context = createContext(backend, owner.get(), nullptr);
  const Api& api = backend.api();
  Qnn_GraphHandle_t handle = nullptr;
  backend.check(
      api.graphCreate(context.get(), kName, graphConfigs.infos()[0]->graphConfigs, &handle),
      Exit::config, "The backend refuses the graph's configuration");
  addNode(backend, handle);
  uint64_t size = 0;
  api.contextGetBinarySize(context.get(), &size);
  std::vector<uint8_t> binary(size);
  backend.check(api.contextGetBinary(context.get(), binary.data(), size, &size), Exit::target,
                "The probe cannot be serialised");
  return binary;
}

[[noreturn]] void refuse(const std::string& what) { throw Failure(Exit::target, what + "."); }

void compare(const BinaryInfo& made, const DeviceConfig& device, const GraphConfig& graph) {
  const HtpGraphInfo* info = htpInfo(made.get().graphs[0].graphInfoV3);
  if (device.dspArch != 0 && made.dspArch() != 0 && made.dspArch() != device.dspArch) {
    refuse("The configuration asks for dsp_arch v" + std::to_string(device.dspArch) +
           "; its SoC has v" + std::to_string(made.dspArch()));
  }
  if (info == nullptr) return;
  const uint32_t vtcmMb = info->vtcmSize / kMega;
  if (graph.vtcmMb && vtcmMb != 0 && *graph.vtcmMb > vtcmMb) {
    refuse("The configuration asks for vtcm_mb " + std::to_string(*graph.vtcmMb) +
           "; the device has " + std::to_string(vtcmMb));
  }
  if (graph.hvxThreads && info->numHvxThreads != *graph.hvxThreads) {
    refuse("The device has fewer than " + std::to_string(*graph.hvxThreads) + " hvx_threads");
  }
}

}  // namespace

void probeTarget(const Backend& backend, const Config& config) {
  if (config.device.socModel == 0) return;
  std::vector<GraphConfig> graphs = config.graphs;
  if (graphs.empty()) graphs.emplace_back();
  for (const GraphConfig& graph : graphs) {
    GraphConfig greatest = graph;
    greatest.names = {kName};
    greatest.vtcmMb = 0;
    const std::vector<uint8_t> binary = compile(backend, config.device, greatest);
    compare(BinaryInfo(binary.data(), binary.size(), "The probe"), config.device, graph);
  }
}

}  // namespace openqnn
