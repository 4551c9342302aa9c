/** qnn-context-binary-utility: writes what a context binary says about itself as JSON. */

#include "arguments.hpp"
#include "digest.hpp"
#include "failure.hpp"
#include "files.hpp"
#include "json.hpp"

namespace openqnn {
namespace {

constexpr const char* kProgram = "qnn-context-binary-utility";

void body(int argc, char** argv) {
  const Arguments arguments(kProgram, "Describe a context binary.",
                            {{"context_binary", "BIN", "the context binary"},
                             {"json_file", "JSON", "where the description is written"}},
                            argc, argv);
  const std::string path = arguments.value("context_binary");
  const std::string out = arguments.value("json_file");
  const MappedFile file(path);
  checkDigest(path, file.data(), file.size());
  const BinaryInfo info(file.data(), file.size(), path);
  // Names in a damaged context may be no UTF-8.
  const auto replace = nlohmann::ordered_json::error_handler_t::replace;
  const std::string text = describe(info).dump(2, ' ', false, replace) + "\n";
  writeFile(out, text.data(), text.size());
}

}  // namespace
}  // namespace openqnn

int main(int argc, char** argv) {
  return openqnn::run(openqnn::kProgram, [&] { openqnn::body(argc, argv); });
}
