#include "failure.hpp"

#include <unistd.h>

#include <csignal>
#include <cstdio>
#include <cstring>
#include <new>

namespace openqnn {

namespace {

int report(const char* program, Exit code, const char* message) {
  std::fflush(stdout);
  std::fprintf(stderr, "%s: %s\n", program, message);
  return static_cast<int>(code);
}

/** A library that dies is still answered for; only what is safe in a signal is done here. */
void onCrash(int signal) {
  const char* text = signal == SIGABRT
                         ? "A library gave up (abort); its last words are above.\n"
                         : "A library crashed; the file it was reading may be damaged.\n";
  const ssize_t ignored = ::write(STDERR_FILENO, text, std::strlen(text));
  static_cast<void>(ignored);
  ::_exit(static_cast<int>(Exit::internal));
}

/** A sanitizer that is there already has more to say about a crash. */
void answerFor(int fatal) {
  const auto before = std::signal(fatal, onCrash);
  if (before != SIG_DFL) std::signal(fatal, before);
}

}  // namespace

int run(const char* program, const std::function<void()>& body) {
  for (const int fatal : {SIGSEGV, SIGBUS, SIGABRT, SIGFPE, SIGILL}) answerFor(fatal);
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
