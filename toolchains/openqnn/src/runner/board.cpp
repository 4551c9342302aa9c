#include "board.hpp"

#include <dlfcn.h>
#include <fcntl.h>
#include <unistd.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <vector>

#include "build_id.hpp"
#include "failure.hpp"

namespace openqnn {

namespace {

namespace fs = std::filesystem;

/** Where FastRPC looks by itself; DSP_LIBRARY_PATH, where it is set, hides ADSP_LIBRARY_PATH. */
constexpr const char* kDefaultSearch = "/usr/lib/rfsa/adsp;/usr/lib/dsp/cdsp;/usr/lib/dsp;/dsp";
constexpr const char* kFirst = "DSP_LIBRARY_PATH";
constexpr const char* kSecond = "ADSP_LIBRARY_PATH";

std::vector<std::string> deviceNodes() {
  std::vector<std::string> nodes;
  std::error_code error;
  for (const auto& entry : fs::directory_iterator("/dev", error)) {
    const std::string name = entry.path().filename();
    if (name.rfind("fastrpc-cdsp", 0) == 0 || name.rfind("adsprpc-smd", 0) == 0) {
      nodes.push_back(entry.path());
    }
  }
  return nodes;
}

void checkDeviceNode() {
  const std::vector<std::string> nodes = deviceNodes();
  if (nodes.empty()) {
    throw Failure(Exit::target,
                  "The board has no device node for its NPU (/dev/fastrpc-cdsp): its kernel lacks "
                  "FastRPC, or the compute DSP has not started; see dmesg | grep cdsp.");
  }
  for (const std::string& node : nodes) {
    const int descriptor = ::open(node.c_str(), O_RDWR | O_CLOEXEC);
    if (descriptor < 0) continue;
    ::close(descriptor);
    return;
  }
  throw Failure(Exit::target, nodes.front() +
                                  " may not be opened by this user: add it to the group that owns "
                                  "the node (fastrpc on Ubuntu) and log in again.");
}

/** Loads by the loader's own rules, as the stub will; the handle stays open on purpose. */
void checkFastRpc() {
  if (::dlopen("libcdsprpc.so", RTLD_LAZY | RTLD_LOCAL) != nullptr) return;
  throw Failure(Exit::library,
                std::string("The board has no usable libcdsprpc.so (") + ::dlerror() +
                    "): install FastRPC (qcom-fastrpc1 on Ubuntu, fastrpc in Yocto), "
                    "or link libcdsprpc.so to libcdsprpc.so.1 where only that is.");
}

void checkStub(const std::string& path) {
  if (::dlopen(path.c_str(), RTLD_LAZY | RTLD_LOCAL) != nullptr) return;
  throw Failure(Exit::library,
                "The stub cannot be loaded, often because the board's FastRPC is "
                "too old for it: " +
                    std::string(::dlerror()) + ".");
}

void requireFile(const std::string& path, const char* what) {
  if (::access(path.c_str(), R_OK) == 0) return;
  throw Failure(Exit::library, std::string("The package has no ") + what + ": " + path +
                                   " is missing. Deploy it again.");
}

void searchFirst(const std::string& folder) {
  const char* first = std::getenv(kFirst);
  const char* second = std::getenv(kSecond);
  const char* variable = first != nullptr ? kFirst : kSecond;
  const char* before = first != nullptr ? first : second;
  const std::string rest = before != nullptr ? before : kDefaultSearch;
  ::setenv(variable, (folder + ";" + rest).c_str(), 1);
}

/** Empty where the file cannot be read. */
std::string firstLine(const std::string& path) {
  std::ifstream file(path);
  std::string line;
  std::getline(file, line);
  return line;
}

}  // namespace

void prepareBoard(const Needs& needs, bool ownSkel) {
  const std::string stem = needs.libraries + "/libQnnHtpV" + std::to_string(needs.dspArch);
  const std::string stub = stem + "Stub.so";
  const std::string skel = stem + "Skel.so";
  requireFile(stub, "stub");
  checkBuild(stub, needs.buildId, "the context binary");
  if (ownSkel) {
    requireFile(skel, "skel");
    checkBuild(skel, needs.buildId, "the stub");
    searchFirst(needs.libraries);
  }
  checkDeviceNode();
  checkFastRpc();
  checkStub(stub);
}

std::string socOfBoard() {
  const std::string name = firstLine("/sys/devices/soc0/machine");
  return (name.empty() ? "a nameless SoC" : name) + " (soc_id " +
         firstLine("/sys/devices/soc0/soc_id") + ")";
}

std::string whyNoBackend() {
  return "The board is " + socOfBoard() + ", which the libraries of this package do not know.";
}

std::string whyNoNpu() {
  const char* first = std::getenv(kFirst);
  const char* search = first != nullptr ? first : std::getenv(kSecond);
  return "FastRPC gave no way to the NPU of " + socOfBoard() +
         ": the compute DSP is down, or it did not find the skel or does not let an unsigned one "
         "in. Searched for the skel: " +
         (search != nullptr ? search : kDefaultSearch) + ". See dmesg | grep -e cdsp -e fastrpc.";
}

}  // namespace openqnn
