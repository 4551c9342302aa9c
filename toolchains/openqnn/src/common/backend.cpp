#include "backend.hpp"

#include <cstdio>
#include <cstring>

#include "location.hpp"

namespace openqnn {

namespace {

/** QAIRT 2.51 complains of a setting of its own at every graph; nothing comes of it. */
constexpr const char* kNoise = "unexpected GraphHtpSettings option";

QnnLog_Level_t parseLevel(const std::string& name) {
  static const char* const kNames[] = {"error", "warn", "info", "verbose", "debug"};
  for (int i = 0; i < 5; ++i) {
    if (name == kNames[i]) return static_cast<QnnLog_Level_t>(QNN_LOG_LEVEL_ERROR + i);
  }
  throw Failure(Exit::usage,
                "--log_level " + name + " is not one of: error, warn, info, verbose, debug.");
}

std::string text(const Qnn_Version_t& version) {
  return std::to_string(version.major) + "." + std::to_string(version.minor) + "." +
         std::to_string(version.patch);
}

/** The tables of one major version only grow; an older one may lack what is used here. */
bool speaksOurs(const Qnn_Version_t& core) {
  return core.major == QNN_API_VERSION_MAJOR && core.minor >= QNN_API_VERSION_MINOR;
}

QnnInterface_t provider(const SharedLibrary& library) {
  const auto getProviders =
      library.function<QnnInterface_GetProvidersFn_t>("QnnInterface_getProviders");
  const QnnInterface_t** providers = nullptr;
  uint32_t count = 0;
  if (getProviders(&providers, &count) != QNN_SUCCESS || providers == nullptr || count == 0) {
    throw Failure(Exit::library, library.path() + " provides no interface.");
  }
  std::string versions;
  for (uint32_t i = 0; i < count; ++i) {
    const Qnn_Version_t& core = providers[i]->apiVersion.coreApiVersion;
    if (speaksOurs(core)) return *providers[i];
    versions += (i == 0 ? "" : ", ") + text(core);
  }
  throw Failure(Exit::version,
                library.path() + " speaks QNN API " + versions + "; this program was written for " +
                    std::to_string(QNN_API_VERSION_MAJOR) + "." +
                    std::to_string(QNN_API_VERSION_MINOR) + ": take both from one SDK.");
}

}  // namespace

void logToStderr(const char* format, QnnLog_Level_t level, uint64_t, va_list arguments) {
  static const char* const kNames[] = {"", "ERROR", "WARNING", "INFO", "VERBOSE", "DEBUG"};
  char line[2048];
  const int length = std::vsnprintf(line, sizeof(line), format, arguments);
  if (length <= 0 || std::strstr(line, kNoise) != nullptr) return;
  const bool known = level >= QNN_LOG_LEVEL_ERROR && level <= QNN_LOG_LEVEL_DEBUG;
  line[std::strcspn(line, "\n")] = '\0';
  std::fprintf(stderr, "[ %s ] %s\n", known ? kNames[level] : "LOG", line);
}

Backend::Backend(const std::string& path, const std::string& logLevel)
    : library_(libraryPath(path)), interface_(provider(library_)), logLevel_(parseLevel(logLevel)) {
  if (interface_.providerName != nullptr) name_ = interface_.providerName;
  if (api().logCreate != nullptr) {
    check(api().logCreate(logToStderr, logLevel_, &log_), Exit::library, "Its log cannot be made");
  }
  check(api().backendCreate(log_, nullptr, &handle_), Exit::library, "Its backend cannot be made");
}

Backend::~Backend() {
  if (handle_ != nullptr) api().backendFree(handle_);
  if (log_ != nullptr) api().logFree(log_);
}

std::string Backend::describe(Qnn_ErrorHandle_t error) const {
  const char* message = nullptr;
  const auto code = QNN_GET_ERROR_CODE(error);
  if (api().errorGetMessage != nullptr) api().errorGetMessage(code, &message);
  const std::string number = "error " + std::to_string(code);
  return message == nullptr ? number : number + ", " + message;
}

void Backend::check(Qnn_ErrorHandle_t error, Exit code, const std::string& what) const {
  if (error == QNN_SUCCESS) return;
  throw Failure(code, what + " (" + path() + ": " + describe(error) + ").");
}

Owned<Qnn_DeviceHandle_t> createDevice(const Backend& backend, const QnnDevice_Config_t** configs) {
  if (backend.api().deviceCreate == nullptr) return {};
  Qnn_DeviceHandle_t device = nullptr;
  const auto error = backend.api().deviceCreate(backend.log(), configs, &device);
  // A backend without devices says so; the null device is then the one to use.
  if (QNN_GET_ERROR_CODE(error) == QNN_COMMON_ERROR_NOT_SUPPORTED && configs == nullptr) return {};
  backend.check(error, Exit::target, "The backend does not know the device that is asked for");
  return {device, backend.api().deviceFree};
}

Owned<Qnn_ContextHandle_t> createContext(const Backend& backend, Qnn_DeviceHandle_t device,
                                         const QnnContext_Config_t** configs) {
  Qnn_ContextHandle_t context = nullptr;
  const Api& api = backend.api();
  backend.check(api.contextCreate(backend.handle(), device, configs, &context), Exit::compile,
                "The backend cannot make a context");
  return {context, [free = api.contextFree](Qnn_ContextHandle_t c) { free(c, nullptr); }};
}

Owned<Qnn_ContextHandle_t> createContextFromBinary(const Backend& backend,
                                                   Qnn_DeviceHandle_t device, const void* data,
                                                   uint64_t size, const std::string& name) {
  Qnn_ContextHandle_t context = nullptr;
  const Api& api = backend.api();
  const Reading reading(Exit::context, name);
  backend.check(
      api.contextCreateFromBinary(backend.handle(), device, nullptr, data, size, &context, nullptr),
      Exit::context, name + ": the backend cannot read this context binary");
  return {context, [free = api.contextFree](Qnn_ContextHandle_t c) { free(c, nullptr); }};
}

}  // namespace openqnn
