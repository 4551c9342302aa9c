/** What the manifest of a package says about the network's input. */
#pragma once

#include <array>
#include <string>

namespace openqnn {

/** Mean and deviation of the channels, in the order RGB, of values in 0..1. */
struct Normalisation {
  std::array<float, 3> mean;
  std::array<float, 3> deviation;
};

/** The manifest of the package that a context binary is in. */
std::string manifestOf(const std::string& context);

/** Read `model.input.preprocessing`; raises a config failure that says what is wrong with it. */
Normalisation readNormalisation(const std::string& manifest);

}  // namespace openqnn
