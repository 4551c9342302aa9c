/** A loaded backend and the objects made in it; each is freed with the C++ object that owns it. */
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "QnnInterface.h"
#include "failure.hpp"
#include "library.hpp"

namespace openqnn {

using Api = QNN_INTERFACE_VER_TYPE;

class Backend {
 public:
  /**
   * Load a backend library, compare its API version with the headers' and create its backend.
   *
   * @param path of the library; a bare name is that of one beside this program
   * @param logLevel error, warn, info, verbose or debug: what the backend may say on stderr
   */
  Backend(const std::string& path, const std::string& logLevel);
  Backend(const Backend&) = delete;
  Backend& operator=(const Backend&) = delete;
  ~Backend();

  const Api& api() const { return interface_.QNN_INTERFACE_VER_NAME; }
  Qnn_BackendHandle_t handle() const { return handle_; }
  Qnn_LogHandle_t log() const { return log_; }
  QnnLog_Level_t logLevel() const { return logLevel_; }
  const std::string& path() const { return library_.path(); }
  const std::string& name() const { return name_; }

  /** Raise a failure that says `what` went wrong and how the backend names the error. */
  void check(Qnn_ErrorHandle_t error, Exit code, const std::string& what) const;
  std::string describe(Qnn_ErrorHandle_t error) const;

 private:
  SharedLibrary library_;
  QnnInterface_t interface_{};
  std::string name_;
  QnnLog_Level_t logLevel_;
  Qnn_LogHandle_t log_ = nullptr;
  Qnn_BackendHandle_t handle_ = nullptr;
};

/** Prints a backend's message if it is of the wanted level. */
void logToStderr(const char* format, QnnLog_Level_t level, uint64_t timestamp, va_list arguments);

/** An object of the backend and how it is freed. */
template <typename Handle>
class Owned {
 public:
  Owned() = default;
  Owned(Handle handle, std::function<void(Handle)> free) : handle_(handle), free_(free) {}
  Owned(Owned&& other) noexcept : handle_(other.handle_), free_(std::move(other.free_)) {
    other.handle_ = nullptr;
  }
  Owned& operator=(Owned&& other) noexcept {
    std::swap(handle_, other.handle_);
    std::swap(free_, other.free_);
    return *this;
  }
  ~Owned() {
    if (handle_ != nullptr) free_(handle_);
  }
  Handle get() const { return handle_; }

 private:
  Handle handle_ = nullptr;
  std::function<void(Handle)> free_;
};

/** All take `Backend&` that must outlive what they return. */
Owned<Qnn_DeviceHandle_t> createDevice(const Backend& backend, const QnnDevice_Config_t** configs);
Owned<Qnn_ContextHandle_t> createContext(const Backend& backend, Qnn_DeviceHandle_t device,
                                         const QnnContext_Config_t** configs);
Owned<Qnn_ContextHandle_t> createContextFromBinary(const Backend& backend,
                                                   Qnn_DeviceHandle_t device, const void* data,
                                                   uint64_t size, const std::string& name);

}  // namespace openqnn
