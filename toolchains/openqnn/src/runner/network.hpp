/** The one network of a context binary, with one picture in and one tensor out, or several. */
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "backend.hpp"
#include "binary_info.hpp"
#include "files.hpp"
#include "htp.hpp"
#include "runner.hpp"

namespace openqnn {

/** The real numbers that a tensor holds. */
std::vector<float> values(const Qnn_Tensor_t& tensor);

class Network {
 public:
  /** `file` and `info`, of the context binary at `path`, must outlive this. */
  Network(const Backend& backend, const std::string& path, const MappedFile& file,
          const BinaryInfo& info, const QnnDevice_Config_t** configs);

  const std::string& name() const { return runner_->name(); }
  const Qnn_Tensor_t& input() const { return runner_->inputs().front(); }
  const std::vector<Qnn_Tensor_t>& outputs() const { return runner_->outputs(); }

  void load(const std::vector<float>& values);
  /** Run once; return what it took, in microseconds. */
  double run();
  /** Write the one output to the file `path`, or each of several to `<path>/<tensor>.raw`. */
  void save(const std::string& path) const;

 private:
  Owned<Qnn_DeviceHandle_t> device_;
  Owned<Qnn_ContextHandle_t> context_;
  std::unique_ptr<Runner> runner_;
};

}  // namespace openqnn
