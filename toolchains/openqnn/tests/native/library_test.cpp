/** What a loaded library takes of memory: the arguments are one with 32 MiB of constants. */

#include "library.hpp"

#include <unistd.h>

#include <cstdint>
#include <cstdio>
#include <cstdlib>

namespace {

constexpr size_t kSize = 32 << 20;

/** Bytes of this process that are in memory. */
long resident() {
  long pages = 0;
  std::FILE* file = std::fopen("/proc/self/statm", "r");
  if (file == nullptr || std::fscanf(file, "%*d %ld", &pages) != 1) std::abort();
  std::fclose(file);
  return pages * ::sysconf(_SC_PAGESIZE);
}

/** Read every page; the first byte is 1 and the last is 7. */
uint32_t sum(const volatile uint8_t* bytes) {
  uint32_t total = 0;
  for (size_t i = 0; i < kSize; i += 512) total += bytes[i];
  return total + bytes[kSize - 1];
}

}  // namespace

int main(int, char** argv) {
  const openqnn::SharedLibrary library(argv[1]);
  const auto* weights = library.function<const volatile uint8_t*>("weights");
  const long before = resident();
  const bool read = sum(weights) == 8;
  const long loaded = resident() - before;
  library.releaseMemory();
  const long left = resident() - before;
  const bool readAgain = sum(weights) == 8;
  std::printf("%ld bytes loaded, %ld left\n", loaded, left);
  const bool released = loaded > long{kSize} * 9 / 10 && left < long{kSize} / 10;
  return read && released && readAgain ? 0 : 1;
}
