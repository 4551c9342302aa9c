/** The record of one graph: a line of JSON per call, and the bytes of every static tensor. */
#ifndef OPENQNN_JOURNAL_HPP
#define OPENQNN_JOURNAL_HPP

#include <cstdint>
#include <cstdio>
#include <memory>
#include <string>

#include "QnnInterface.h"

namespace openqnn {

/**
 * Writes `<folder>/calls.jsonl` and `<folder>/<id>.raw`, each static tensor's bytes once.
 *
 * Every function returns false where the disk refused; what is there then lacks its last line,
 * `{"call":"finalize"}`, and must not be used.
 */
class Journal {
 public:
  explicit Journal(std::string folder);

  bool provider(const QnnInterface_t& provider);
  bool graph(const char* name, const QnnGraph_Config_t** configs);
  bool tensor(const Qnn_Tensor_t& tensor);
  bool node(const Qnn_OpConfigV1_t& op);
  bool refused(const Qnn_OpConfigV1_t& op, Qnn_ErrorHandle_t error);
  bool finalize();

 private:
  struct Close {
    void operator()(std::FILE* file) const { std::fclose(file); }
  };
  using File = std::unique_ptr<std::FILE, Close>;

  bool line(const std::string& text);
  bool raw(const Qnn_TensorV1_t& tensor);

  std::string folder_;
  File calls_;
};

}  // namespace openqnn

#endif
