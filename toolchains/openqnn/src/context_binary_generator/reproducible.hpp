/** What the compiler's output bytes would otherwise depend on, held still. */
#pragma once

#include <functional>

namespace openqnn {

/**
 * Run this program again, once, with addresses that do not vary.
 *
 * The compiler writes some bytes that it never set; what they hold follows from where memory lay
 * before. So: no address-space randomisation, a stack limit of 8 MiB (it decides where mappings
 * begin) and no environment but LD_LIBRARY_PATH and TMPDIR. Where the kernel or a seccomp profile
 * refuses, a warning is printed and the program goes on. Returns in the second life only.
 */
void restartReproducibly(char** argv);

/**
 * Run `body` on a thread with a heap of its own, so that no path or option, whose lengths differ
 * from run to run, has left a trace in it. Exceptions come back to the caller.
 */
void onFreshHeap(const std::function<void()>& body);

}  // namespace openqnn
