/** The build id, such as v2.51.0.260929181845, that Qualcomm writes into all it builds. */
#pragma once

#include <string>

namespace openqnn {

/** The first build id in a text; empty where there is none. */
std::string buildIdIn(const char* text, size_t size);

/** The first build id in a file. */
std::string buildIdOf(const std::string& path);

/** Raise a version failure unless a file is of the build that `owner` is of. */
void checkBuild(const std::string& path, const std::string& buildId, const std::string& owner);

}  // namespace openqnn
