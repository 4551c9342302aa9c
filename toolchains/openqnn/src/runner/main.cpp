/** dinov3-run: runs a packaged network once or many times, on a board or on the simulator. */

#include <algorithm>
#include <cstdio>
#include <cstring>
#include <memory>
#include <nlohmann/json.hpp>

#include "arguments.hpp"
#include "board.hpp"
#include "build_id.hpp"
#include "digest.hpp"
#include "location.hpp"
#include "manifest.hpp"
#include "network.hpp"
#include "npu.hpp"
#include "picture.hpp"
#include "tensor.hpp"
#include "timing.hpp"

namespace openqnn {
namespace {

constexpr const char* kProgram = "dinov3-run";
constexpr const char* kBackend = "libQnnHtp.so";
constexpr const char* kNoVote = "default";

#if defined(__aarch64__)
constexpr bool kOnBoard = true;
#else
constexpr bool kOnBoard = false;
#endif

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
  const Qnn_TensorV1_t& t = common(tensor);
  const bool isPicture = t.rank == 4;
  const bool takesBytes = isPicture && t.dimensions[3] == 3 && elementSize(t.dataType) == 1;
  if (!takesBytes && !(isPicture && t.dimensions[1] == 3)) {
    throw Failure(Exit::input, std::string("--rgb needs a network whose input is one picture, "
                                           "planes [1, 3, height, width] or bytes [1, height, "
                                           "width, 3]; this one takes ") +
                                   shapeOf(tensor) + ".");
  }
  const MappedFile file(path);
  if (takesBytes) return numbers(file.data(), file.size(), t.dimensions[1], t.dimensions[2], path);
  const std::string manifest =
      arguments.value("manifest", manifestOf(arguments.value("context")));
  return planes(file.data(), file.size(), t.dimensions[2], t.dimensions[3],
                readNormalisation(manifest), path);
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

/** Make something that the board may refuse; add to a refusal what most likely is wrong. */
template <typename Made, typename... Parts>
std::unique_ptr<Made> made(std::string (*why)(), Parts&&... parts) {
  try {
    return std::make_unique<Made>(std::forward<Parts>(parts)...);
  } catch (const Failure& failure) {
    if (!kOnBoard) throw;
    throw Failure(Exit::target, why() + " " + failure.what());
  }
}

/** The context's build, after a look at the libraries that are to run it. */
std::string checkedBuild(const BinaryInfo& info, const std::string& context,
                         const std::string& backend) {
  const char* written = info.get().buildId == nullptr ? "" : info.get().buildId;
  const std::string buildId = buildIdIn(written, std::strlen(written));
  checkBuild(backend, buildId, context);
  return buildId;
}

/** The simulator has to be told which SoC it is; a board knows, and may have more than one NPU. */
HtpDeviceConfigs deviceConfigs(const BinaryInfo& info, Npu* npu) {
  if (!kOnBoard) return HtpDeviceConfigs(DeviceConfig{info.socModel(), info.dspArch()});
  return npu == nullptr ? HtpDeviceConfigs(DeviceConfig{}) : HtpDeviceConfigs(npu->alone());
}

void body(int argc, char** argv) {
  const Arguments arguments = parse(argc, argv);
  const std::string& path = arguments.value("context");
  const std::string libraries = libraryFolder();
  const MappedFile file(path);
  checkDigest(path, file.data(), file.size());
  const BinaryInfo info(file.data(), file.size(), path);
  const std::string buildId = checkedBuild(info, path, libraries + "/" + kBackend);
  if (kOnBoard) prepareBoard({libraries, buildId, info.dspArch()}, !arguments.has("board_skel"));
  const auto backend = made<Backend>(whyNoBackend, libraries + "/" + kBackend,
                                     arguments.value("log_level", "error"));
  const std::string perf = arguments.choice("perf", profileNames(), kNoVote);
  const unsigned number = arguments.number("npu", 0, 0);
  const auto npu = perf != kNoVote || arguments.has("npu")
                       ? made<Npu>(whyNoNpu, *backend, number)
                       : std::unique_ptr<Npu>();
  HtpDeviceConfigs configs = deviceConfigs(info, arguments.has("npu") ? npu.get() : nullptr);
  const auto network = made<Network>(whyNoNpu, *backend, path, file, info, configs.list());
  network->load(arguments.has("rgb") ? picture(arguments, network->input())
                                     : rawInput(arguments.value("input"), network->input()));
  std::vector<double> times(arguments.number("repeat", arguments.number("runs", 1, 1), 1));
  {
    const auto vote = perf != kNoVote ? std::make_unique<ClockVote>(*backend, *npu, profileOf(perf))
                                      : std::unique_ptr<ClockVote>();
    for (double& time : times) time = network->run();
  }
  network->save(arguments.value("output"));
  const Timing timing(std::move(times));
  describe(*network, info, buildId, perf);
  printTimes(timing);
  if (arguments.has("repeat")) printJson(*network, info, buildId, perf, number, timing);
}

}  // namespace
}  // namespace openqnn

int main(int argc, char** argv) {
  return openqnn::run(openqnn::kProgram, [&] { openqnn::body(argc, argv); });
}
