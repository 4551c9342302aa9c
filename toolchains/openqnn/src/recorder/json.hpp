/** The little JSON that the journal needs: values are strings that already are JSON. */
#ifndef OPENQNN_JSON_HPP
#define OPENQNN_JSON_HPP

#include <string>
#include <utility>
#include <vector>

namespace openqnn::json {

using Items = std::vector<std::string>;
using Members = std::vector<std::pair<std::string, std::string>>;

/** A quoted string; a null pointer is `null`. */
std::string text(const char* value);

/** Enough digits to read the same number back. */
std::string number(float value);
std::string number(double value);

template <typename Integer>
std::string number(Integer value) {
  return std::to_string(value);
}

std::string list(const Items& items);
std::string object(const Members& members);

}  // namespace openqnn::json

#endif
