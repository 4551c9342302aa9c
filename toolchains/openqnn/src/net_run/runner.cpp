#include "runner.hpp"

#include <algorithm>
#include <cstring>

#include "files.hpp"

namespace openqnn {

namespace {

/** A tensor's name as a file name: one without folders. */
std::string fileName(const Qnn_Tensor_t& tensor) {
  std::string name = common(tensor).name;
  std::replace(name.begin(), name.end(), '/', '_');
  return name;
}

}  // namespace

Runner::Runner(const Backend& backend, Qnn_GraphHandle_t graph, std::string name,
               const Qnn_Tensor_t* inputs, uint32_t numInputs, const Qnn_Tensor_t* outputs,
               uint32_t numOutputs, FileFormat format)
    : backend_(backend), graph_(graph), name_(std::move(name)), format_(format) {
  inputs_ = allocate(inputs, numInputs);
  outputs_ = allocate(outputs, numOutputs);
}

std::vector<Qnn_Tensor_t> Runner::allocate(const Qnn_Tensor_t* tensors, uint32_t count) {
  std::vector<Qnn_Tensor_t> owned(tensors, tensors + count);
  for (Qnn_Tensor_t& tensor : owned) {
    buffers_.emplace_back(byteCount(tensor));
    common(tensor).memType = QNN_TENSORMEMTYPE_RAW;
    common(tensor).clientBuf = {buffers_.back().data(),
                                static_cast<uint32_t>(buffers_.back().size())};
  }
  return owned;
}

std::vector<std::string> Runner::inputNames() const {
  std::vector<std::string> names;
  for (const Qnn_Tensor_t& tensor : inputs_) names.emplace_back(common(tensor).name);
  return names;
}

void Runner::load(const Sample& sample) {
  for (const Qnn_Tensor_t& tensor : inputs_) loadTensor(tensor, sample.at(common(tensor).name));
}

void Runner::loadTensor(const Qnn_Tensor_t& tensor, const std::string& path) const {
  const Qnn_TensorV1_t& t = common(tensor);
  const MappedFile file(path);
  const size_t width = format_.nativeInputs ? elementSize(t.dataType) : sizeof(float);
  if (file.size() != elementCount(tensor) * width) {
    throw Failure(Exit::input, path + " has " + std::to_string(file.size()) + " bytes; input " +
                                   t.name + " " + shapeOf(tensor) + " needs " +
                                   std::to_string(elementCount(tensor) * width) + " of " +
                                   (format_.nativeInputs ? nameOf(t.dataType) : "float32") + ".");
  }
  if (format_.nativeInputs) {
    std::memcpy(t.clientBuf.data, file.data(), file.size());
  } else {
    fromFloat(tensor, reinterpret_cast<const float*>(file.data()), t.clientBuf.data);
  }
}

void Runner::execute(Qnn_ProfileHandle_t profile) {
  backend_.check(backend_.api().graphExecute(
                     graph_, inputs_.data(), static_cast<uint32_t>(inputs_.size()), outputs_.data(),
                     static_cast<uint32_t>(outputs_.size()), profile, nullptr),
                 Exit::execute, "Graph " + name_ + " cannot be run");
}

void Runner::save(const std::string& folder) const {
  for (const Qnn_Tensor_t& tensor : outputs_) {
    const Qnn_ClientBuffer_t& buffer = common(tensor).clientBuf;
    const std::string stem = folder + "/" + fileName(tensor);
    if (format_.nativeOutputs) {
      writeFile(stem + "_native.raw", buffer.data, buffer.dataSize);
      continue;
    }
    std::vector<float> values(elementCount(tensor));
    toFloat(tensor, buffer.data, values.data());
    writeFile(stem + ".raw", values.data(), values.size() * sizeof(float));
  }
}

}  // namespace openqnn
