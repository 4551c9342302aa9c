/** How every program of openqnn refuses: one message, one exit code a cause. */
#pragma once

#include <functional>
#include <stdexcept>
#include <string>

namespace openqnn {

/** Exit codes, apart from those of the pipeline's own errors; the README lists them for users. */
enum class Exit : int {
  usage = 40,     ///< unknown, missing or contradicting options
  config = 41,    ///< a configuration file is malformed, has unknown or contradicting keys
  library = 42,   ///< a library is missing, damaged, for another architecture, or lacks a symbol
  version = 43,   ///< a library speaks another version of the interface
  model = 44,     ///< a model library cannot compose its graph
  graph = 45,     ///< no graph of the name that was asked for
  compile = 46,   ///< the backend cannot finalise a graph
  context = 47,   ///< a context binary is damaged or not one
  target = 48,    ///< made for, or asked for, another SoC
  input = 49,     ///< an input list or a tensor file does not fit the graph
  file = 50,      ///< a file cannot be read or written; no space
  execute = 51,   ///< the backend cannot run a graph
  internal = 52,  ///< out of memory, a crash in a library, or anything without a better name
};

class Failure : public std::runtime_error {
 public:
  Failure(Exit code, const std::string& message) : std::runtime_error(message), code_(code) {}
  Exit code() const { return code_; }

 private:
  Exit code_;
};

/**
 * While it lives, a library reads a file of somebody else's making: should the library crash, the
 * program ends with the refusal of that file. One at a time.
 */
class Reading {
 public:
  Reading(Exit code, const std::string& file);
  Reading(const Reading&) = delete;
  Reading& operator=(const Reading&) = delete;
  ~Reading();
};

/** Run a program's body and return its exit status; a failure is printed as `<program>: ...`. */
int run(const char* program, const std::function<void()>& body);

}  // namespace openqnn
