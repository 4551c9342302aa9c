/** dinov3-run: runs a packaged network once or many times, on a board or on the simulator. */

#include <algorithm>
#include <cstdio>
#include <cstring>
#include <filesystem>
#include <memory>

#include "arguments.hpp"
#include "board.hpp"
#include "build_id.hpp"
#include "network.hpp"
#include "picture.hpp"
#include "tensor.hpp"

namespace openqnn {
namespace {

constexpr const char* kProgram = "dinov3-run";
constexpr const char* kBackend = "libQnnHtp.so";

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
  options.push_back({"output", "RAW", "where to write the output, as raw float32"});
  options.push_back({"runs", "N", "run N times and say how long each took; default 1"});
  options.push_back({"board_skel", "", "use the board's own skel, not the one in the package"});
  options.push_back({"log_level", "LEVEL", "error, warn, info, verbose or debug"});
  Arguments arguments(kProgram, "Run a packaged network.", options, argc, argv);
  arguments.exclusive("input", "rgb");
  for (const char* required : {"context", "output"}) arguments.value(required);
  if (!arguments.has("rgb")) arguments.value("input");
  return arguments;
}

/** Qualcomm's libraries: beside this program in a package, by platform in an SDK root. */
std::string libraryFolder() {
  namespace fs = std::filesystem;
  const fs::path folder = fs::read_symlink("/proc/self/exe").parent_path();
  const fs::path packaged = folder.parent_path() / "lib";
  if (fs::exists(packaged / kBackend)) return packaged;
  return folder.parent_path().parent_path() / "lib" / folder.filename();
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

std::vector<float> picture(const std::string& path, const Qnn_Tensor_t& tensor) {
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
  return planes(file.data(), file.size(), t.dimensions[2], t.dimensions[3], path);
}

void describe(const Network& network, const BinaryInfo& info, const std::string& buildId) {
  std::printf("network: %s, QNN build %s, for SoC model %u (v%u)\n", network.name().c_str(),
              buildId.c_str(), info.socModel(), info.dspArch());
  std::printf("ran on: %s\n", kOnBoard ? ("NPU of " + socOfBoard()).c_str() : "the HTP simulator");
}

void printTimes(std::vector<double> times) {
  std::printf("first inference: %.0f us\n", times.front());
  std::sort(times.begin(), times.end());
  std::printf("inference: %.0f us (fastest of %zu; median %.0f, slowest %.0f)\n", times.front(),
              times.size(), times[times.size() / 2], times.back());
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

void body(int argc, char** argv) {
  const Arguments arguments = parse(argc, argv);
  const std::string& path = arguments.value("context");
  const std::string libraries = libraryFolder();
  const MappedFile file(path);
  const BinaryInfo info(file.data(), file.size(), path);
  const std::string buildId = checkedBuild(info, path, libraries + "/" + kBackend);
  // The simulator has to be told which SoC it is; a board knows.
  DeviceConfig device;
  if (kOnBoard) {
    prepareBoard({libraries, buildId, info.dspArch()}, !arguments.has("board_skel"));
  } else {
    device = {info.socModel(), info.dspArch()};
  }
  const auto backend = made<Backend>(whyNoBackend, libraries + "/" + kBackend,
                                     arguments.value("log_level", "error"));
  const auto network = made<Network>(whyNoNpu, *backend, path, file, info, device);
  network->load(arguments.has("rgb") ? picture(arguments.value("rgb"), network->input())
                                     : rawInput(arguments.value("input"), network->input()));
  std::vector<double> times(arguments.number("runs", 1, 1));
  for (double& time : times) time = network->run();
  const std::vector<float> result = network->result();
  writeFile(arguments.value("output"), result.data(), result.size() * sizeof(float));
  describe(*network, info, buildId);
  printTimes(times);
}

}  // namespace
}  // namespace openqnn

int main(int argc, char** argv) {
  return openqnn::run(openqnn::kProgram, [&] { openqnn::body(argc, argv); });
}
