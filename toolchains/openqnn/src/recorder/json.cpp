#include "json.hpp"

#include <cmath>
#include <cstdio>

namespace openqnn::json {
namespace {

std::string printed(const char* format, double value) {
  if (!std::isfinite(value))
    return std::isnan(value) ? "NaN" : value > 0 ? "Infinity" : "-Infinity";
  char buffer[32];
  std::snprintf(buffer, sizeof buffer, format, value);
  return buffer;
}

std::string escaped(unsigned char c) {
  if (c == '"' || c == '\\') return {'\\', static_cast<char>(c)};
  if (c >= 0x20) return {static_cast<char>(c)};
  char buffer[8];
  std::snprintf(buffer, sizeof buffer, "\\u%04x", c);
  return buffer;
}

}  // namespace

std::string text(const char* value) {
  if (!value) return "null";
  std::string quoted = "\"";
  for (const char* c = value; *c; ++c) quoted += escaped(static_cast<unsigned char>(*c));
  return quoted + "\"";
}

std::string number(float value) { return printed("%.9g", static_cast<double>(value)); }

std::string number(double value) { return printed("%.17g", value); }

std::string list(const Items& items) {
  std::string joined = "[";
  for (const auto& item : items) joined += (joined.size() > 1 ? "," : "") + item;
  return joined + "]";
}

std::string object(const Members& members) {
  std::string joined = "{";
  for (const auto& [name, value] : members) {
    joined += (joined.size() > 1 ? "," : "") + text(name.c_str()) + ":" + value;
  }
  return joined + "}";
}

}  // namespace openqnn::json
