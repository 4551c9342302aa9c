/** How every program of openqnn refuses: one message, one exit code a cause. */
#pragma once

#include <functional>
#include <stdexcept>
#include <string>

namespace openqnn {

/** Exit codes; the README lists them for users. */
enum class Exit : int {
  usage = 2,      ///< unknown, missing or contradicting options
  config = 3,     ///< a configuration file is malformed, has unknown or contradicting keys
  library = 4,    ///< a library is missing, damaged, for another architecture, or lacks a symbol
  version = 5,    ///< a library speaks another version of the interface
  model = 6,      ///< a model library cannot compose its graph
  graph = 7,      ///< no graph of the name that was asked for
  compile = 8,    ///< the backend cannot finalise a graph
  context = 9,    ///< a context binary is damaged or not one
  target = 10,    ///< made for, or asked for, another SoC
  input = 11,     ///< an input list or a tensor file does not fit the graph
  file = 12,      ///< a file cannot be read or written; no space
  execute = 13,   ///< the backend cannot run a graph
  internal = 14,  ///< out of memory, a crash in a library, or anything without a better name
};

class Failure : public std::runtime_error {
 public:
  Failure(Exit code, const std::string& message) : std::runtime_error(message), code_(code) {}
  Exit code() const { return code_; }

 private:
  Exit code_;
};

/** Run a program's body and return its exit status; a failure is printed as `<program>: ...`. */
int run(const char* program, const std::function<void()>& body);

}  // namespace openqnn
