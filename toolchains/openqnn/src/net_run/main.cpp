/** qnn-net-run: runs a graph, from a model library or a context binary, on lists of input files. */

#include <memory>

#include "arguments.hpp"
#include "binary_info.hpp"
#include "digest.hpp"
#include "files.hpp"
#include "metadata.hpp"
#include "profile.hpp"
#include "runner.hpp"
#include "session.hpp"

namespace openqnn {
namespace {

constexpr const char* kProgram = "qnn-net-run";
constexpr const char* kSkip = "__";

Arguments parse(int argc, char** argv) {
  std::vector<Option> options = sessionOptions();
  options.push_back({"retrieve_context", "BIN", "run this context binary instead of a --model"});
  options.push_back({"input_list", "TXT[,TXT]", "files to run on, a list a graph; __ skips one"});
  options.push_back(
      {"use_native_input_files", "", "files hold the inputs' own types, not float32"});
  options.push_back({"use_native_output_files", "", "write the outputs' own types, not float32"});
  options.push_back({"num_inferences", "N", "run the list over and over, N times in all"});
  options.push_back({"keep_num_outputs", "N", "write the outputs of the first N runs only"});
  options.push_back({"debug", "", "make every tensor of a --model an output"});
  Arguments arguments(kProgram, "Run a graph on files.", options, argc, argv);
  arguments.exclusive("model", "retrieve_context");
  arguments.exclusive("debug", "retrieve_context");
  if (!arguments.has("retrieve_context")) arguments.value("model");
  for (const char* required : {"backend", "input_list"}) arguments.value(required);
  return arguments;
}

/** The graphs of one context, however it came to be. */
class Source {
 public:
  virtual ~Source() = default;
  virtual std::vector<Runner> runners(FileFormat format) = 0;
};

class ModelSource : public Source {
 public:
  ModelSource(const Backend& backend, const Arguments& arguments, const Config& config)
      : backend_(backend),
        models_(loadModels(arguments.value("model"), arguments.value("model_prefix", "QnnModel"))),
        compiled_(backend, models_, config, arguments.has("debug"), nullptr) {}

  std::vector<Runner> runners(FileFormat format) override {
    std::vector<Runner> all;
    for (const GraphInfo* graph : compiled_.graphs()) {
      all.emplace_back(backend_, graph->graph, graph->graphName, graph->inputTensors,
                       graph->numInputTensors, graph->outputTensors, graph->numOutputTensors,
                       format);
    }
    return all;
  }

 private:
  const Backend& backend_;
  std::vector<ModelLibrary> models_;
  Compiled compiled_;
};

class ContextSource : public Source {
 public:
  ContextSource(const Backend& backend, const std::string& path, const DeviceConfig& device)
      : backend_(backend),
        file_(path),
        info_(checked(path), file_.size(), path),
        configs_(target(device)) {
    device_ = createDevice(backend, configs_.list());
    context_ = createContextFromBinary(backend, device_.get(), file_.data(), file_.size(), path);
  }

  std::vector<Runner> runners(FileFormat format) override {
    std::vector<Runner> all;
    for (uint32_t i = 0; i < info_.get().numGraphs; ++i) {
      const QnnSystemContext_GraphInfoV3_t& graph = info_.get().graphs[i].graphInfoV3;
      Qnn_GraphHandle_t handle = nullptr;
      backend_.check(backend_.api().graphRetrieve(context_.get(), graph.graphName, &handle),
                     Exit::graph,
                     std::string("The context does not give graph ") + graph.graphName);
      all.emplace_back(backend_, handle, graph.graphName, graph.graphInputs, graph.numGraphInputs,
                       graph.graphOutputs, graph.numGraphOutputs, format);
    }
    return all;
  }

 private:
  /** The bytes, of which the parts that no reader looks at are held against their digest. */
  const void* checked(const std::string& path) const {
    checkDigest(path, file_.data(), file_.size());
    return file_.data();
  }

  /** A simulator has to be told which SoC it is; the context knows. */
  DeviceConfig target(const DeviceConfig& asked) const {
    if (asked.socModel != 0 && asked.socModel != info_.socModel()) {
      throw Failure(Exit::target,
                    "The context was made for SoC " + std::to_string(info_.socModel()) +
                        ", the configuration is for " + std::to_string(asked.socModel) + ".");
    }
    return {info_.socModel(), info_.dspArch()};
  }

  const Backend& backend_;
  MappedFile file_;
  BinaryInfo info_;
  HtpDeviceConfigs configs_;
  Owned<Qnn_DeviceHandle_t> device_;
  Owned<Qnn_ContextHandle_t> context_;
};

std::unique_ptr<Source> open(const Backend& backend, const Arguments& arguments,
                             const Config& config) {
  if (!arguments.has("retrieve_context")) {
    return std::make_unique<ModelSource>(backend, arguments, config);
  }
  return std::make_unique<ContextSource>(backend, arguments.value("retrieve_context"),
                                         config.device);
}

void runAll(Runner& runner, const std::string& list, const Arguments& arguments,
            const std::string& folder, Profile& profile) {
  const std::vector<Sample> samples = readInputList(list, runner.inputNames());
  const auto count = arguments.number("num_inferences", static_cast<unsigned>(samples.size()), 1);
  const auto kept = arguments.number("keep_num_outputs", count, 0);
  for (unsigned i = 0; i < count; ++i) {
    runner.load(samples[i % samples.size()]);
    runner.execute(profile.handle());
    profile.collect();
    if (i < kept) runner.save(folder + "/Result_" + std::to_string(i));
  }
}

void runLists(std::vector<Runner>& runners, const Arguments& arguments, Profile& profile) {
  const std::string output = arguments.value("output_dir", "./output");
  const std::vector<std::string> lists = splitList(arguments.value("input_list"));
  if (lists.size() != runners.size()) {
    throw Failure(Exit::input, "--input_list has " + std::to_string(lists.size()) + " lists for " +
                                   std::to_string(runners.size()) + " graphs.");
  }
  for (size_t i = 0; i < lists.size(); ++i) {
    if (lists[i] == kSkip) continue;
    const bool single = runners.size() == 1;
    runAll(runners[i], lists[i], arguments, single ? output : output + "/" + runners[i].name(),
           profile);
  }
  writeMetadata(output, runners);
  profile.write(output);
}

void body(int argc, char** argv) {
  const Arguments arguments = parse(argc, argv);
  const Config config = configOf(arguments);
  const FileFormat format{arguments.has("use_native_input_files"),
                          arguments.has("use_native_output_files")};
  const Backend backend(arguments.value("backend"), arguments.value("log_level", "error"));
  Profile profile(backend, arguments.choice("profiling_level", {"basic", "detailed"}, ""));
  const auto source = open(backend, arguments, config);
  std::vector<Runner> runners = source->runners(format);
  runLists(runners, arguments, profile);
}

}  // namespace
}  // namespace openqnn

int main(int argc, char** argv) {
  return openqnn::run(openqnn::kProgram, [&] { openqnn::body(argc, argv); });
}
