/** Context binaries: described, and memory taken for their tensors, or refused. */

#include <vector>

#include "binary_info.hpp"
#include "build_id.hpp"
#include "failure.hpp"
#include "json.hpp"
#include "tensor.hpp"

namespace {

/** Far below what a board has: a tensor of a damaged context easily has gigabytes. */
constexpr uint32_t kMost = 1 << 20;

void fill(const Qnn_Tensor_t* tensors, uint32_t count) {
  for (uint32_t i = 0; i < count; ++i) {
    const uint32_t bytes = openqnn::byteCount(tensors[i]);
    if (bytes > kMost) continue;
    std::vector<uint8_t> native(bytes);
    std::vector<float> values(openqnn::elementCount(tensors[i]));
    openqnn::toFloat(tensors[i], native.data(), values.data());
    openqnn::fromFloat(tensors[i], values.data(), native.data());
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  openqnn::buildIdIn(reinterpret_cast<const char*>(data), size);
  try {
    const openqnn::BinaryInfo info(data, size, "context");
    openqnn::describe(info).dump(2, ' ', false, nlohmann::ordered_json::error_handler_t::replace);
    const auto& graph = info.get().graphs[0].graphInfoV3;
    fill(graph.graphInputs, graph.numGraphInputs);
    fill(graph.graphOutputs, graph.numGraphOutputs);
  } catch (const openqnn::Failure&) {
  }
  return 0;
}
