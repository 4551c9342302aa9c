/** One graph, ready to run: its inputs filled from files, its outputs written to files. */
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "backend.hpp"
#include "input_list.hpp"
#include "tensor.hpp"

namespace openqnn {

/** In which form files hold tensors: as float32, or as the tensor's own bytes. */
struct FileFormat {
  bool nativeInputs = false;
  bool nativeOutputs = false;
};

class Runner {
 public:
  /** Names and dimensions of the tensors must outlive this. */
  Runner(const Backend& backend, Qnn_GraphHandle_t graph, std::string name,
         const Qnn_Tensor_t* inputs, uint32_t numInputs, const Qnn_Tensor_t* outputs,
         uint32_t numOutputs, FileFormat format);

  const std::string& name() const { return name_; }
  const std::vector<Qnn_Tensor_t>& inputs() const { return inputs_; }
  const std::vector<Qnn_Tensor_t>& outputs() const { return outputs_; }
  std::vector<std::string> inputNames() const;

  /** Read a sample's files; each must have exactly the bytes its input needs. */
  void load(const Sample& sample);
  void execute(Qnn_ProfileHandle_t profile);
  /** Write `<folder>/<tensor>.raw`, or `<tensor>_native.raw`, for every output. */
  void save(const std::string& folder) const;

 private:
  std::vector<Qnn_Tensor_t> allocate(const Qnn_Tensor_t* tensors, uint32_t count);
  void loadTensor(const Qnn_Tensor_t& tensor, const std::string& path) const;

  const Backend& backend_;
  Qnn_GraphHandle_t graph_;
  std::string name_;
  FileFormat format_;
  std::vector<std::vector<uint8_t>> buffers_;
  std::vector<Qnn_Tensor_t> inputs_;
  std::vector<Qnn_Tensor_t> outputs_;
};

}  // namespace openqnn
