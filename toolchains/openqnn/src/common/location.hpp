/** Where this program stands, and Qualcomm's libraries with it. */
#pragma once

#include <string>

namespace openqnn {

/**
 * The folder of the libraries that belong to this program: `../lib` in a package, else
 * `../../lib/<platform>` in an SDK root. Libraries are loaded from there by their whole path, and
 * from no folder that anybody else chooses. Raises a library failure where there is neither.
 */
std::string libraryFolder();

/** A backend library: a bare name stands for the one in `libraryFolder`, a path for itself. */
std::string libraryPath(const std::string& name);

}  // namespace openqnn
