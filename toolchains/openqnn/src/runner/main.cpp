/** dinov3-run: runs a packaged network once or many times, on a board or on the simulator. */

#include <algorithm>
#include <cstdio>
#include <cstring>
#include <memory>
#include <nlohmann/json.hpp>

#include "arguments.hpp"
#include "board.hpp"
#include "engine.hpp"
#include "location.hpp"
#include "manifest.hpp"
#include "picture.hpp"
#include "tensor.hpp"
#include "timing.hpp"

namespace openqnn {
namespace {

constexpr const char* kProgram = "dinov3-run";
constexpr const char* kNoVote = "default";

Arguments parse(int argc, char** argv) {
  std::vector<Option> options;
  options.push_back({"context", "BIN", "the network: an HTP context binary"});
  options.push_back({"input", "RAW", "the input as raw float32, in the network's own layout"});
  options.push_back({"rgb", "RGB", "the input as interleaved RGB bytes of the network's size"});
  options.push_back({"manifest", "JSON", "mean and deviation for --rgb; default: the package's"});
  options.push_back({"output", "RAW", "a file for the output, as raw float32; of several, a folder"});
  options.push_back({"runs", "N", "run N times and say how long that took; default 1"});
  options.push_back({"repeat", "N", "the same, and end with a line of JSON: times, configuration"});
  options.push_back({"perf", "PROFILE", "burst, balanced, power-saver or default (no vote)"});
  options.push_back({"npu", "N", "which NPU of the board, from 0; default: the first"});
  options.push_back({"board_skel", "", "use the board's own skel, not the one in the package"});
  options.push_back({"log_level", "LEVEL", "error, warn, info, verbose or debug"});
  Arguments arguments(kProgram, "Run a packaged network.", options, argc, argv);
  arguments.exclusive("input", "rgb");
  arguments.exclusive("runs", "repeat");
  for (const char* required : {"context", "output"}) arguments.value(required);
  if (!arguments.has("rgb")) arguments.value("input");
  return arguments;
}

std::vector<float> rawInput(const std::string& path, const Qnn_Tensor_t& tensor) {
  const MappedFile file(path);
  std::vector<float> values(elementCount(tensor));
  if (file.size() != values.size() * sizeof(float)) {
    throw Failure(Exit::input, path + " has " + std::to_string(file.size()) + " bytes; input " +
                                   common(tensor).name + " " + shapeOf(tensor) + " needs " +
                                   std::to_string(values.size() * sizeof(float)) + " of float32.");
  }
  std::memcpy(values.data(), file.data(), file.size());
  return values;
}

std::vector<float> picture(const Arguments& arguments, const Qnn_Tensor_t& tensor) {
  const std::string& path = arguments.value("rgb");
  sizeOf(tensor);  // what takes no picture is said before what the file lacks
  const MappedFile file(path);
  const std::string manifest =
      arguments.value("manifest", manifestOf(arguments.value("context")));
  return pixels(tensor, file.data(), file.size(), manifest, path);
}

std::string placeOfRun() { return kOnBoard ? "NPU of " + socOfBoard() : "the HTP simulator"; }

void describe(const Network& network, const BinaryInfo& info, const std::string& buildId,
              const std::string& perf) {
  std::printf("network: %s, QNN build %s, for SoC model %u (v%u)\n", network.name().c_str(),
              buildId.c_str(), info.socModel(), info.dspArch());
  std::printf("ran on: %s, clocks: %s\n", placeOfRun().c_str(), perf.c_str());
}

void printTimes(const Timing& timing) {
  std::printf("first inference: %.0f us\n", timing.first());
  std::printf("inference: %.0f us (fastest of %zu; p50 %.0f, p90 %.0f, p99 %.0f, slowest %.0f)\n",
              timing.fastest(), timing.count(), timing.percentile(50), timing.percentile(90),
              timing.percentile(99), timing.slowest());
}

using Json = nlohmann::ordered_json;

/** What `--perf` voted for; null where it is left to the board. */
Json votes(const std::string& perf) {
  if (perf == kNoVote) return nullptr;
  const PowerProfile& profile = profileOf(perf);
  return {{"voltage_corner", profile.corner},
          {"dcvs", profile.dcvs},
          {"sleep_latency_us", profile.sleepLatencyUs},
          {"rpc_control_latency_us", profile.rpcLatencyUs},
          {"rpc_polling_us", profile.rpcPollingUs}};
}

void printJson(const Network& network, const BinaryInfo& info, const std::string& buildId,
               const std::string& perf, unsigned npu, const Timing& timing) {
  const Json report = {{"network", network.name()},
                       {"qnn_build", buildId},
                       {"soc_model", info.socModel()},
                       {"dsp_arch", info.dspArch()},
                       {"ran_on", placeOfRun()},
                       {"simulated", !kOnBoard},
                       {"npu", npu},
                       {"perf", perf},
                       {"votes", votes(perf)},
                       {"repeat", timing.count()},
                       {"first_us", timing.first()},
                       {"min_us", timing.fastest()},
                       {"p50_us", timing.percentile(50)},
                       {"p90_us", timing.percentile(90)},
                       {"p99_us", timing.percentile(99)},
                       {"max_us", timing.slowest()},
                       {"mean_us", timing.mean()}};
  std::printf("%s\n", report.dump(-1, ' ', true, Json::error_handler_t::replace).c_str());
}

Setting settingOf(const Arguments& arguments, const std::string& perf) {
  Setting setting;
  setting.context = arguments.value("context");
  setting.libraries = libraryFolder();
  setting.logLevel = arguments.value("log_level", "error");
  setting.ownSkel = !arguments.has("board_skel");
  setting.needsNpu = perf != kNoVote;
  setting.choosesNpu = arguments.has("npu");
  setting.npu = arguments.number("npu", 0, 0);
  return setting;
}

void body(int argc, char** argv) {
  const Arguments arguments = parse(argc, argv);
  const std::string perf = arguments.choice("perf", profileNames(), kNoVote);
  const Setting setting = settingOf(arguments, perf);
  const Engine engine(setting);
  Network& network = engine.network();
  network.load(arguments.has("rgb") ? picture(arguments, network.input())
                                    : rawInput(arguments.value("input"), network.input()));
  std::vector<double> times(arguments.number("repeat", arguments.number("runs", 1, 1), 1));
  {
    const auto vote = perf != kNoVote ? std::make_unique<ClockVote>(engine.backend(), engine.npu(),
                                                                    profileOf(perf))
                                      : std::unique_ptr<ClockVote>();
    for (double& time : times) time = network.run();
  }
  network.save(arguments.value("output"));
  const Timing timing(std::move(times));
  describe(network, engine.info(), engine.buildId(), perf);
  printTimes(timing);
  if (arguments.has("repeat")) {
    printJson(network, engine.info(), engine.buildId(), perf, setting.npu, timing);
  }
}

}  // namespace
}  // namespace openqnn

int main(int argc, char** argv) {
  return openqnn::run(openqnn::kProgram, [&] { openqnn::body(argc, argv); });
}
