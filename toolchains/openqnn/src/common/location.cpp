#include "location.hpp"

#include <filesystem>

#include "failure.hpp"

namespace openqnn {

namespace {

/** In every package and every SDK root. */
constexpr const char* kAnyLibrary = "libQnnSystem.so";

}  // namespace

std::string libraryFolder() {
  namespace fs = std::filesystem;
  const fs::path folder = fs::read_symlink("/proc/self/exe").parent_path();
  const fs::path packaged = folder.parent_path() / "lib";
  const fs::path installed = folder.parent_path().parent_path() / "lib" / folder.filename();
  for (const fs::path& candidate : {packaged, installed}) {
    if (fs::exists(candidate / kAnyLibrary)) return candidate;
  }
  throw Failure(Exit::library, std::string(kAnyLibrary) + " is neither in " + packaged.string() +
                                   " nor in " + installed.string() +
                                   ": leave this program in its package or SDK root.");
}

std::string libraryPath(const std::string& name) {
  return name.find('/') == std::string::npos ? libraryFolder() + "/" + name : name;
}

}  // namespace openqnn
