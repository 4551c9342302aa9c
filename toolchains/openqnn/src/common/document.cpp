#include "document.hpp"

#include <functional>
#include <set>
#include <stdexcept>
#include <vector>

#include "failure.hpp"
#include "files.hpp"

namespace openqnn {

namespace {

using nlohmann::json;

constexpr size_t kMostBytes = 1 << 20;
constexpr int kMostDepth = 32;

/** Looks at every key and bracket as it is parsed. */
class Guard {
 public:
  bool operator()(int depth, json::parse_event_t event, json& parsed) {
    if (depth > kMostDepth) throw std::runtime_error("it is nested too deeply");
    if (event == json::parse_event_t::object_start) open_.emplace_back();
    if (event == json::parse_event_t::object_end) open_.pop_back();
    if (event == json::parse_event_t::key &&
        !open_.back().insert(parsed.get<std::string>()).second) {
      throw std::runtime_error("the key \"" + parsed.get<std::string>() + "\" is given twice");
    }
    return true;
  }

 private:
  std::vector<std::set<std::string>> open_;
};

}  // namespace

json readDocument(const std::string& path) {
  const std::string text = readText(path, kMostBytes);
  try {
    Guard guard;
    return json::parse(text, std::ref(guard));
  } catch (const std::exception& error) {
    throw Failure(Exit::config, path + " is not valid JSON: " + error.what() + ".");
  }
}

}  // namespace openqnn
