/** `execution_metadata.yaml`: which tensors the files beside it hold. */
#pragma once

#include <string>
#include <vector>

#include "runner.hpp"

namespace openqnn {

void writeMetadata(const std::string& folder, const std::vector<Runner>& runners);

}  // namespace openqnn
