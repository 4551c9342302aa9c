/** A shared library that is looked at before the loader is let near it. */
#pragma once

#include <string>

namespace openqnn {

class SharedLibrary {
 public:
  /**
   * Load the library at a path, absolute or from this folder. A missing or truncated file, another architecture and unresolved needs are
   * each refused with their own words.
   */
  explicit SharedLibrary(const std::string& path);
  SharedLibrary(SharedLibrary&& other) noexcept;
  SharedLibrary& operator=(SharedLibrary&&) = delete;
  ~SharedLibrary();

  const std::string& path() const { return path_; }

  /** A function of the library; refused where it is not exported. */
  template <typename Function>
  Function function(const std::string& name) const {
    return reinterpret_cast<Function>(address(name));
  }

  /** Give back the memory of what is only read, gigabytes of weights; it is read anew if needed. */
  void releaseMemory() const;

 private:
  void* address(const std::string& name) const;

  std::string path_;
  void* handle_ = nullptr;
};

}  // namespace openqnn
