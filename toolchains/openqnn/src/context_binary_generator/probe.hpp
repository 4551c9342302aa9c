/** A look at what the compiler makes of a configuration, before minutes go into a large graph. */
#pragma once

#include "backend.hpp"
#include "config.hpp"

namespace openqnn {

/**
 * Compile a graph of one node for the configured device, and refuse a configuration that the
 * compiler would quietly replace by its own: a dsp_arch that is not the SoC's, more VTCM than the
 * device has, more HVX threads. Takes some hundredths of a second.
 */
void probeTarget(const Backend& backend, const Config& config);

}  // namespace openqnn
