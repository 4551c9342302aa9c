#include "input_list.hpp"

#include <algorithm>
#include <sstream>

#include "failure.hpp"
#include "files.hpp"

namespace openqnn {

namespace {

constexpr size_t kMostText = 64 << 20;

void addWord(const std::string& word, const std::vector<std::string>& inputs, size_t position,
             Sample& sample) {
  const size_t mark = word.find(":=");
  const bool named = mark != std::string::npos;
  const std::string path = named ? word.substr(mark + 2) : word;
  if (!named && position >= inputs.size()) {
    throw Failure(Exit::input, "has more files than the graph has inputs");
  }
  const std::string name = named ? word.substr(0, mark) : inputs[position];
  if (std::find(inputs.begin(), inputs.end(), name) == inputs.end()) {
    throw Failure(Exit::input, "names " + name + ", which is not an input of the graph");
  }
  if (!sample.emplace(name, path).second) throw Failure(Exit::input, "gives " + name + " twice");
}

Sample readLine(const std::string& line, const std::vector<std::string>& inputs) {
  Sample sample;
  std::istringstream words(line);
  size_t position = 0;
  for (std::string word; words >> word; ++position) addWord(word, inputs, position, sample);
  for (const std::string& name : inputs) {
    if (sample.count(name) == 0) throw Failure(Exit::input, "gives no file for the input " + name);
  }
  return sample;
}

}  // namespace

std::vector<Sample> readInputList(const std::string& path, const std::vector<std::string>& inputs) {
  std::vector<Sample> samples;
  std::istringstream lines(readText(path, kMostText));
  int number = 0;
  for (std::string line; std::getline(lines, line);) {
    ++number;
    if (line.find_first_not_of(" \t\r") == std::string::npos) continue;
    try {
      samples.push_back(readLine(line, inputs));
    } catch (const Failure& failure) {
      throw Failure(failure.code(),
                    path + ", line " + std::to_string(number) + " " + failure.what() + ".");
    }
  }
  if (samples.empty()) throw Failure(Exit::input, path + " lists no files.");
  return samples;
}

}  // namespace openqnn
