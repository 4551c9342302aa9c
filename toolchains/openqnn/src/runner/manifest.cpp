#include "manifest.hpp"

#include <cmath>

#include "document.hpp"
#include "failure.hpp"
#include "files.hpp"

namespace openqnn {

namespace {

using nlohmann::json;

/** Null where one of the keys is not there. */
const json* find(const json* value, std::initializer_list<const char*> keys) {
  for (const char* key : keys) {
    if (value == nullptr || !value->is_object()) return nullptr;
    const auto member = value->find(key);
    value = member == value->end() ? nullptr : &*member;
  }
  return value;
}

std::array<float, 3> channels(const json* list, const std::string& manifest, const char* what,
                              float least) {
  std::array<float, 3> values{};
  bool good = list != nullptr && list->is_array() && list->size() == values.size();
  for (size_t i = 0; good && i < values.size(); ++i) {
    good = (*list)[i].is_number();
    if (good) values[i] = (*list)[i].get<float>();
    good = good && std::isfinite(values[i]) && values[i] >= least;
  }
  if (good) return values;
  throw Failure(Exit::config, manifest + " gives no " + what +
                                  " for the three channels of a picture: --rgb needs it; give "
                                  "--input, or name the network's own package with --manifest.");
}

}  // namespace

std::string manifestOf(const std::string& context) {
  return folderOf(context) + "/../manifest.json";
}

Normalisation readNormalisation(const std::string& manifest) {
  const json document = readDocument(manifest);
  const json* how = find(&document, {"model", "input", "preprocessing"});
  constexpr float kAny = -1e6F;
  constexpr float kPositive = 1e-6F;
  return {channels(find(how, {"mean"}), manifest, "mean", kAny),
          channels(find(how, {"std"}), manifest, "deviation", kPositive)};
}

}  // namespace openqnn
