/** qnn-context-binary-generator: compiles model libraries into one serialised context. */

#include <malloc.h>

#include "arguments.hpp"
#include "digest.hpp"
#include "files.hpp"
#include "probe.hpp"
#include "profile.hpp"
#include "reproducible.hpp"
#include "session.hpp"

namespace openqnn {
namespace {

constexpr const char* kProgram = "qnn-context-binary-generator";

Arguments parse(int argc, char** argv) {
  std::vector<Option> options = sessionOptions();
  options.push_back({"binary_file", "NAME", "file name of the context, without .bin"});
  options.push_back({"enable_intermediate_outputs", "", "make every tensor an output"});
  options.push_back({"profiling_option", "OPTION", "optrace: also the compiler's simulated trace"});
  Arguments arguments(kProgram, "Compile model libraries into a context binary.", options, argc,
                      argv);
  for (const char* required : {"backend", "model", "binary_file"}) arguments.value(required);
  return arguments;
}

std::string outputPath(const Arguments& arguments) {
  const std::string name = arguments.value("binary_file") + ".bin";
  return name[0] == '/' ? name : arguments.value("output_dir", "./output") + "/" + name;
}

void writeContext(const Backend& backend, Qnn_ContextHandle_t context, const std::string& path) {
  const Api& api = backend.api();
  uint64_t size = 0;
  uint64_t written = 0;
  backend.check(api.contextGetBinarySize(context, &size), Exit::compile, "The context has no size");
  OutputFile file(path, size);
  backend.check(api.contextGetBinary(context, file.data(), size, &written), Exit::compile,
                "The context cannot be serialised");
  writeDigest(path, file.data(), written);
  file.commit(written);
}

void generate(const Arguments& arguments, const Config& config, const Backend& backend,
              std::vector<ModelLibrary>& models) {
  probeTarget(backend, config);
  // Recording takes memory on the compiler's heap, and so has a part in the bytes: always record.
  const bool trace = !arguments.choice("profiling_option", {"optrace"}, "").empty();
  Profile profile(backend, arguments.choice("profiling_level", {"basic", "detailed"}, ""), trace,
                  true);
  const Compiled compiled(backend, models, config, arguments.has("enable_intermediate_outputs"),
                          profile.handle());
  ::malloc_trim(0);  // what compiling has freed would stand beside the copies of the result
  writeContext(backend, compiled.context(), outputPath(arguments));
  profile.collect();
  profile.write(arguments.value("output_dir", "./output"));
}

void body(int argc, char** argv) {
  const Arguments arguments = parse(argc, argv);
  restartReproducibly(argv);
  const Config config = configOf(arguments);
  std::vector<ModelLibrary> models =
      loadModels(arguments.value("model"), arguments.value("model_prefix", "QnnModel"));
  onFreshHeap([&] {
    const Backend backend(arguments.value("backend"), arguments.value("log_level", "error"));
    generate(arguments, config, backend, models);
  });
}

}  // namespace
}  // namespace openqnn

int main(int argc, char** argv) {
  return openqnn::run(openqnn::kProgram, [&] { openqnn::body(argc, argv); });
}
