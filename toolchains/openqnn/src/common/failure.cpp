#include "failure.hpp"

#include <unistd.h>

#include <array>
#include <atomic>
#include <csignal>
#include <cstdio>
#include <new>

namespace openqnn {

namespace {

int report(const char* program, Exit code, const char* message) {
  std::fflush(stdout);
  std::fprintf(stderr, "%s: %s\n", program, message);
  return static_cast<int>(code);
}

/** What a crash is answered with, written beforehand: in a signal nothing may be composed. */
struct Answer {
  std::string crash;
  std::string abort;
  Exit code;
};

// Never freed: a library may crash while it is unloaded.
std::string& programName = *new std::string;
Answer& usual = *new Answer{"", "", Exit::internal};
Answer& ofReading = *new Answer{"", "", Exit::internal};
std::atomic<const Answer*> answer{&usual};

/** A library that dies is still answered for; only what is safe in a signal is done here. */
void onCrash(int signal) {
  const Answer& last = *answer;
  const std::string& text = signal == SIGABRT ? last.abort : last.crash;
  const ssize_t ignored = ::write(STDERR_FILENO, text.data(), text.size());
  static_cast<void>(ignored);
  ::_exit(static_cast<int>(last.code));
}

/** A sanitizer that is there already has more to say about a crash. */
void answerFor(int fatal) {
  struct sigaction action {};
  if (::sigaction(fatal, nullptr, &action) != 0 || action.sa_handler != SIG_DFL) return;
  action.sa_handler = onCrash;
  action.sa_flags = SA_ONSTACK;
  ::sigaction(fatal, &action, nullptr);
}

/** Of its own, for a library that recursed until its stack was full. */
void useOtherStack() {
  static std::array<char, 1 << 16> memory;
  stack_t stack{};
  stack.ss_sp = memory.data();
  stack.ss_size = memory.size();
  ::sigaltstack(&stack, nullptr);
}

}  // namespace

Reading::Reading(Exit code, const std::string& file) {
  const std::string refusal =
      programName + ": " + file + " is damaged, or not what it should be: the library that reads it ";
  ofReading = {refusal + "crashed.\n", refusal + "gave up (abort).\n", code};
  answer = &ofReading;
}

Reading::~Reading() { answer = &usual; }

int run(const char* program, const std::function<void()>& body) {
  programName = program;
  usual.crash = programName + ": A library crashed; the file it was reading may be damaged.\n";
  usual.abort = programName + ": A library gave up (abort); its last words are above.\n";
  useOtherStack();
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
