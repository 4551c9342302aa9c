#include "reproducible.hpp"

#include <dlfcn.h>
#include <malloc.h>
#include <sys/personality.h>
#include <sys/resource.h>
#include <unistd.h>

#include <cstdio>
#include <cstdlib>
#include <exception>
#include <string>
#include <thread>
#include <vector>

/**
 * The compiler asks how many processors there are, sizes its thread pool by the answer, and lays
 * out memory by its threads. Every machine gives it the same answer: this definition in the
 * program itself comes before the C library's for all libraries that are loaded.
 */
extern "C" __attribute__((visibility("default"))) long sysconf(int name) noexcept {
  constexpr long kProcessors = 4;
  if (name == _SC_NPROCESSORS_ONLN || name == _SC_NPROCESSORS_CONF) return kProcessors;
  static const auto next = reinterpret_cast<long (*)(int)>(::dlsym(RTLD_NEXT, "sysconf"));
  return next(name);
}

namespace openqnn {

namespace {

constexpr const char* kMark = "OPENQNN_RESTARTED";
constexpr rlim_t kStack = 8 << 20;

std::vector<std::string> keptEnvironment() {
  std::vector<std::string> kept = {std::string(kMark) + "=1"};
  for (const char* name : {"LD_LIBRARY_PATH", "TMPDIR"}) {
    const char* value = std::getenv(name);
    if (value != nullptr) kept.push_back(std::string(name) + "=" + value);
  }
  return kept;
}

void fixStack() {
  rlimit limit{};
  if (::getrlimit(RLIMIT_STACK, &limit) != 0) return;
  limit.rlim_cur = limit.rlim_max < kStack ? limit.rlim_max : kStack;
  ::setrlimit(RLIMIT_STACK, &limit);
}

}  // namespace

void restartReproducibly(char** argv) {
  if (std::getenv(kMark) != nullptr) return;
  const int current = ::personality(0xFFFFFFFF);
  if (current < 0 || ::personality(static_cast<unsigned long>(current) | ADDR_NO_RANDOMIZE) < 0) {
    std::fprintf(stderr,
                 "[ WARNING ] personality(ADDR_NO_RANDOMIZE) is refused here (a seccomp profile?): "
                 "the same inputs will not give the same bytes.\n");
    return;
  }
  fixStack();
  std::vector<std::string> kept = keptEnvironment();
  std::vector<char*> environment;
  for (std::string& one : kept) environment.push_back(one.data());
  environment.push_back(nullptr);
  ::execve("/proc/self/exe", argv, environment.data());
  std::perror("[ WARNING ] cannot restart for reproducible bytes");
}

void onFreshHeap(const std::function<void()>& body) {
  std::exception_ptr error;
  std::thread thread([&] {
    try {
      body();
    } catch (...) {
      error = std::current_exception();
    }
  });
  thread.join();
  if (error) std::rethrow_exception(error);
}

}  // namespace openqnn
