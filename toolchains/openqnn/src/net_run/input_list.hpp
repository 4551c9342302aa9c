/** Lists of input files: one line a sample. */
#pragma once

#include <map>
#include <string>
#include <vector>

namespace openqnn {

/** The file of each graph input. */
using Sample = std::map<std::string, std::string>;

/**
 * Read a list: `path`, or `name:=path name:=path`, with the inputs in any order; files without a
 * name belong to the inputs in the graph's order. Raises an input failure that names the line.
 */
std::vector<Sample> readInputList(const std::string& path, const std::vector<std::string>& inputs);

}  // namespace openqnn
