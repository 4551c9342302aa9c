/**
 * Context binaries: described, and memory taken for their tensors, or refused.
 *
 * Qualcomm's library crashes on damaged ones. A program ends there, with a refusal (`Reading`); here
 * the next input follows. To be run with `-handle_segv=0 -handle_bus=0` and with
 * ASAN_OPTIONS=handle_segv=0:handle_sigbus=0:replace_intrin=0:detect_leaks=0, so that the crashes
 * arrive here. One in our own code ends the run.
 */

#include <csetjmp>
#include <csignal>
#include <memory>
#include <vector>

#include "binary_info.hpp"
#include "build_id.hpp"
#include "failure.hpp"
#include "files.hpp"
#include "json.hpp"
#include "memory_file.hpp"
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

volatile sig_atomic_t inLibrary = 0;
sigjmp_buf next;

void onCrash(int signal) {
  if (inLibrary != 0) siglongjmp(next, 1);
  std::signal(signal, SIG_DFL);
  std::raise(signal);
}

/** Null where the library crashed; what it had in memory is lost. */
std::unique_ptr<openqnn::BinaryInfo> read(const openqnn::MappedFile& file) {
  if (sigsetjmp(next, 1) != 0) {
    inLibrary = 0;
    return nullptr;
  }
  inLibrary = 1;
  auto info = std::make_unique<openqnn::BinaryInfo>(file.data(), file.size(), "context");
  inLibrary = 0;
  return info;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  static openqnn::MemoryFile memory;
  for (const int fatal : {SIGSEGV, SIGBUS}) std::signal(fatal, onCrash);
  openqnn::buildIdIn(reinterpret_cast<const char*>(data), size);
  memory.hold(data, size);
  try {
    const openqnn::MappedFile file(memory.path());
    const auto info = read(file);
    if (info == nullptr) return 0;
    openqnn::describe(*info).dump(2, ' ', false, nlohmann::ordered_json::error_handler_t::replace);
    const auto& graph = info->get().graphs[0].graphInfoV3;
    fill(graph.graphInputs, graph.numGraphInputs);
    fill(graph.graphOutputs, graph.numGraphOutputs);
  } catch (const openqnn::Failure&) {
    inLibrary = 0;
  }
  return 0;
}
