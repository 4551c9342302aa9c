#include "failure.hpp"

#include <cstdio>
#include <new>

namespace openqnn {

namespace {

int report(const char* program, Exit code, const char* message) {
  std::fflush(stdout);
  std::fprintf(stderr, "%s: %s\n", program, message);
  return static_cast<int>(code);
}

}  // namespace

int run(const char* program, const std::function<void()>& body) {
  try {
    body();
    return 0;
  } catch (const Failure& failure) {
    return report(program, failure.code(), failure.what());
  } catch (const std::bad_alloc&) {
    return report(program, Exit::internal, "Out of memory.");
  } catch (const std::exception& error) {
    return report(program, Exit::internal, error.what());
  }
}

}  // namespace openqnn
