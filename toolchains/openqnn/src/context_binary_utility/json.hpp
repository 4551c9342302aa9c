/** A context binary's description as JSON, with the keys of Qualcomm's utility. */
#pragma once

#include <nlohmann/json.hpp>

#include "System/QnnSystemContext.h"
#include "binary_info.hpp"

namespace openqnn {

nlohmann::ordered_json describe(const BinaryInfo& info);

}  // namespace openqnn
