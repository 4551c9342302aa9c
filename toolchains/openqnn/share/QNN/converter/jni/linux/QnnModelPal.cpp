#include "QnnModelPal.hpp"

#include <cstdarg>

namespace qnn_wrapper_api {

void printError(const char* format, ...) {
  va_list arguments;
  va_start(arguments, format);
  std::fputs("[ model library ] ", stderr);
  std::vfprintf(stderr, format, arguments);
  std::fputc('\n', stderr);
  va_end(arguments);
}

}  // namespace qnn_wrapper_api
