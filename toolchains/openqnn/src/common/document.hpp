/** JSON files that anybody may have written. */
#pragma once

#include <nlohmann/json.hpp>
#include <string>

namespace openqnn {

/**
 * Read a JSON file of at most a megabyte, nested at most 32 deep, in which no key is given twice: a
 * parser would settle that contradiction in silence. Raises a config failure that names the file.
 */
nlohmann::json readDocument(const std::string& path);

}  // namespace openqnn
