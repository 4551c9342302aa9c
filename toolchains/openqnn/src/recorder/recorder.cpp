/**
 * A backend library that stands before the real libQnnHtp.so and notes the graph that is built.
 *
 * Questions (properties, validation of nodes, versions) go to the real library; a graph's tensors
 * and nodes are only written down, and finalising ends with an error that the caller knows. So
 * nothing is compiled, and no weight is copied.
 *
 * Environment: OPENQNN_RECORD, the folder of the record; OPENQNN_BACKEND, the real library.
 */
#include <dlfcn.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <memory>

#include "journal.hpp"

namespace {

using openqnn::Journal;

/** What finalising a recorded graph answers; `session.py` knows it. */
constexpr Qnn_ErrorHandle_t kRecorded = 6777;
constexpr Qnn_ErrorHandle_t kNotRecorded = 6778;

std::unique_ptr<Journal> journal;
QnnBackend_ValidateOpConfigFn_t real_validate = nullptr;
uint32_t last_id = 0;
char graph_handle = 0;

Qnn_ErrorHandle_t answer(bool recorded) { return recorded ? QNN_SUCCESS : kNotRecorded; }

Qnn_ErrorHandle_t create_graph(Qnn_ContextHandle_t, const char* name,
                               const QnnGraph_Config_t** configs, Qnn_GraphHandle_t* graph) {
  *graph = &graph_handle;
  return answer(journal->graph(name, configs));
}

Qnn_ErrorHandle_t create_tensor(Qnn_GraphHandle_t, Qnn_Tensor_t* tensor) {
  tensor->v1.id = ++last_id;
  return answer(journal->tensor(*tensor));
}

Qnn_ErrorHandle_t add_node(Qnn_GraphHandle_t, Qnn_OpConfig_t op) {
  return answer(journal->node(op.v1));
}

/** Refusals are noted, so that the converter can name the node that is in the way. */
Qnn_ErrorHandle_t validate_node(Qnn_BackendHandle_t backend, Qnn_OpConfig_t op) {
  const auto error = real_validate(backend, op);
  return error == QNN_SUCCESS || journal->refused(op.v1, error) ? error : kNotRecorded;
}

Qnn_ErrorHandle_t finalize_graph(Qnn_GraphHandle_t, Qnn_ProfileHandle_t, Qnn_SignalHandle_t) {
  return journal->finalize() ? kRecorded : kNotRecorded;
}

/** The table is the real library's own and may be read-only; it is longer than what we declare. */
bool make_writable(void* address, size_t size) {
  const auto page = static_cast<uintptr_t>(sysconf(_SC_PAGESIZE));
  const auto begin = reinterpret_cast<uintptr_t>(address) / page * page;
  const auto end = reinterpret_cast<uintptr_t>(address) + size;
  return mprotect(reinterpret_cast<void*>(begin), end - begin, PROT_READ | PROT_WRITE) == 0;
}

bool interpose(QnnInterface_t& provider) {
  if (provider.apiVersion.coreApiVersion.major != QNN_API_VERSION_MAJOR) return false;
  auto& table = provider.QNN_INTERFACE_VER_NAME;
  if (!make_writable(&table, sizeof table)) return false;
  real_validate = table.backendValidateOpConfig;
  table.backendValidateOpConfig = validate_node;
  table.graphCreate = create_graph;
  table.tensorCreateGraphTensor = create_tensor;
  table.graphAddNode = add_node;
  table.graphFinalize = finalize_graph;
  return true;
}

QnnInterface_GetProvidersFn_t real_entry() {
  const char* path = std::getenv("OPENQNN_BACKEND");
  void* library = path ? dlopen(path, RTLD_NOW | RTLD_LOCAL) : nullptr;
  void* entry = library ? dlsym(library, "QnnInterface_getProviders") : nullptr;
  if (!entry) std::fprintf(stderr, "recorder: %s\n", path ? dlerror() : "OPENQNN_BACKEND is unset");
  return reinterpret_cast<QnnInterface_GetProvidersFn_t>(entry);
}

}  // namespace

extern "C" __attribute__((visibility("default"))) Qnn_ErrorHandle_t QnnInterface_getProviders(
    const QnnInterface_t*** providers, uint32_t* count) {
  const auto entry = real_entry();
  const char* folder = std::getenv("OPENQNN_RECORD");
  if (!entry || !folder) return kNotRecorded;
  const auto error = entry(providers, count);
  if (error != QNN_SUCCESS || *count == 0) return error;
  if (journal) return QNN_SUCCESS;
  journal = std::make_unique<Journal>(folder);
  auto& provider = const_cast<QnnInterface_t&>(*(*providers)[0]);
  return answer(interpose(provider) && journal->provider(provider));
}
