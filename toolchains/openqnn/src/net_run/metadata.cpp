#include "metadata.hpp"

#include "files.hpp"

namespace openqnn {

namespace {

std::string describe(const char* key, const std::vector<Qnn_Tensor_t>& tensors) {
  std::string text = std::string("    ") + key + ":\n";
  for (const Qnn_Tensor_t& tensor : tensors) {
    const Qnn_TensorV1_t& t = common(tensor);
    text += "      - tensor_name: \"" + std::string(t.name) + "\"\n";
    text += "        id: " + std::to_string(t.id) + "\n";
    text += "        datatype: " + nameOf(t.dataType) + "\n";
    text += "        dimensions: " + shapeOf(tensor) + "\n";
  }
  return text;
}

}  // namespace

void writeMetadata(const std::string& folder, const std::vector<Runner>& runners) {
  std::string text = "graphs:\n";
  for (const Runner& runner : runners) {
    text += "  - graph_name: \"" + runner.name() + "\"\n";
    text += describe("input_tensors", runner.inputs());
    text += describe("output_tensors", runner.outputs());
  }
  writeFile(folder + "/execution_metadata.yaml", text.data(), text.size());
}

}  // namespace openqnn
