/** What a model library needs of its operating system. */
#pragma once

#include <cstdio>

namespace qnn_wrapper_api {

/** Write one line of a model library's own complaint to the standard error stream. */
void printError(const char* format, ...) __attribute__((format(printf, 1, 2)));

}  // namespace qnn_wrapper_api
