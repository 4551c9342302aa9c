// A library like those we build: C++17 with exceptions, strings and containers, and a blob that
// objcopy made of a raw file, with the symbols that it gives such a blob.
#include <map>
#include <numeric>
#include <stdexcept>
#include <string>
#include <vector>

extern "C" const unsigned char _binary_obj_binary_weights_raw_start[];
extern "C" const unsigned char _binary_obj_binary_weights_raw_end[];

extern "C" __attribute__((visibility("default"))) int sample_checksum(const char *wanted) {
  const std::map<std::string, int> known{{"sum", 1}, {"size", 2}};
  const std::vector<int> bytes(_binary_obj_binary_weights_raw_start,
                               _binary_obj_binary_weights_raw_end);
  try {
    return known.at(wanted) == 2 ? static_cast<int>(bytes.size())
                                 : std::accumulate(bytes.begin(), bytes.end(), 0);
  } catch (const std::out_of_range &) {
    return -1;
  }
}
