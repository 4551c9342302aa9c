// Loads the library at argv[1], as the SDK's tools load a model, and checks what it answers.
#include <dlfcn.h>

#include <cstdio>

int main(int, char **argv) {
  void *library = dlopen(argv[1], RTLD_NOW | RTLD_LOCAL);
  if (library == nullptr) {
    std::fprintf(stderr, "%s\n", dlerror());
    return 2;
  }
  auto checksum = reinterpret_cast<int (*)(const char *)>(dlsym(library, "sample_checksum"));
  std::printf("%d %d %d\n", checksum("size"), checksum("sum"), checksum("neither"));
  return 0;
}
