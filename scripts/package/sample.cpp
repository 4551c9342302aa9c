/**
 * From a picture to DINOv3's features, and where the network has a head, to a label.
 *
 *     aarch64-linux-gnu-g++ -std=c++17 -Isamples samples/features.cpp samples/libdinov3.a \
 *         -pthread -ldl -o features
 *     ./features model/<name>.serialized.bin picture.ppm outputs
 *
 * It writes each output as outputs/<name>.raw, float32. The picture is a binary PPM of the network's
 * own size, for boards have no decoder of JPEG in common; ImageMagick makes one:
 *
 *     convert picture.jpg -resize 'WIDTHxHEIGHT!' -depth 8 picture.ppm
 *
 * with the network's own width and height: the shape of `pixel_values` in the package's README.
 *
 * A fourth argument is the folder of Qualcomm's libraries, where they are not the package's.
 */
#include <algorithm>
#include <cstdio>
#include <filesystem>
#include <fstream>
#include <numeric>
#include <stdexcept>

#include "dinov3.hpp"

namespace {

/** Read a binary PPM without comments, of a size in pixels; return its bytes, RGB. */
std::vector<uint8_t> readPicture(const std::string& path, size_t height, size_t width) {
  std::ifstream file(path, std::ios::binary);
  std::string kind;
  size_t columns = 0, rows = 0, most = 0;
  file >> kind >> columns >> rows >> most;
  if (!file || kind != "P6" || most != 255 || rows != height || columns != width) {
    throw std::runtime_error(path + " is no binary PPM of " + std::to_string(width) + "x" +
                             std::to_string(height) + " pixels, 8 bits a channel.");
  }
  file.get();  // the one space behind the header
  std::vector<uint8_t> bytes(height * width * 3);
  file.read(reinterpret_cast<char*>(bytes.data()), static_cast<std::streamsize>(bytes.size()));
  if (!file) throw std::runtime_error(path + " ends too early.");
  return bytes;
}

void write(const std::string& path, const std::vector<float>& values) {
  std::ofstream file(path, std::ios::binary);
  file.write(reinterpret_cast<const char*>(values.data()),
             static_cast<std::streamsize>(values.size() * sizeof(float)));
  if (!file.flush()) throw std::runtime_error(path + " cannot be written.");
}

void printShape(const dinov3::Output& output) {
  std::printf("%s [", output.name.c_str());
  for (size_t i = 0; i < output.shape.size(); ++i) {
    std::printf("%s%zu", i == 0 ? "" : ", ", output.shape[i]);
  }
  std::printf("]\n");
}

/** Print the classes with the greatest logits, best first. */
void printClasses(const std::vector<float>& logits) {
  std::vector<size_t> order(logits.size());
  std::iota(order.begin(), order.end(), 0);
  const size_t shown = std::min<size_t>(5, order.size());
  std::partial_sort(order.begin(), order.begin() + shown, order.end(),
                    [&](size_t a, size_t b) { return logits[a] > logits[b]; });
  for (size_t i = 0; i < shown; ++i) std::printf("%zu: %g\n", order[i], logits[order[i]]);
}

int run(int argc, char** argv) {
  if (argc < 4) throw std::runtime_error("usage: features CONTEXT PPM FOLDER [LIBRARIES]");
  dinov3::Network network(argv[1], argc > 4 ? argv[4] : "");
  const auto picture = readPicture(argv[2], network.height(), network.width());
  std::filesystem::create_directories(argv[3]);
  for (const dinov3::Output& output : network.run(picture)) {
    write(std::string(argv[3]) + "/" + output.name + ".raw", output.values);
    printShape(output);
    if (output.name == "head") printClasses(output.values);
  }
  return 0;
}

}  // namespace

int main(int argc, char** argv) {
  try {
    return run(argc, argv);
  } catch (const std::exception& error) {
    std::fprintf(stderr, "features: %s\n", error.what());
    return 1;
  }
}
