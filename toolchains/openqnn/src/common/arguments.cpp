#include "arguments.hpp"

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <sstream>

#include "QnnCommon.h"
#include "failure.hpp"

namespace openqnn {

Arguments::Arguments(const char* program, const char* purpose, std::vector<Option> options,
                     int argc, char** argv)
    : program_(program), purpose_(purpose), options_(std::move(options)) {
  options_.push_back({"help", "", "print this and end"});
  options_.push_back({"version", "", "print the version and end"});
  for (int next = 1; next < argc;) {
    const std::string word = argv[next++];
    take(word, argc, argv, next);
  }
  if (has("help")) printHelp();
  if (has("version")) {
    std::printf("openqnn %s %s, QNN API %d.%d\n", program_, OPENQNN_VERSION, QNN_API_VERSION_MAJOR,
                QNN_API_VERSION_MINOR);
  }
  if (has("help") || has("version")) std::exit(0);
}

void Arguments::take(const std::string& word, int argc, char** argv, int& next) {
  if (word.rfind("--", 0) != 0) throw Failure(Exit::usage, "Stray argument \"" + word + "\".");
  const size_t equals = word.find('=');
  const std::string name = word.substr(2, equals == std::string::npos ? equals : equals - 2);
  const Option& option = find(name);
  std::string value;
  if (*option.placeholder == '\0') {
    if (equals != std::string::npos) throw Failure(Exit::usage, "--" + name + " takes no value.");
  } else if (equals != std::string::npos) {
    value = word.substr(equals + 1);
  } else if (next < argc) {
    value = argv[next++];
  } else {
    throw Failure(Exit::usage, "--" + name + " needs a value: " + option.placeholder + ".");
  }
  if (!values_.emplace(name, value).second) {
    throw Failure(Exit::usage, "--" + name + " is given twice.");
  }
}

const Option& Arguments::find(const std::string& name) const {
  for (const Option& option : options_) {
    if (name == option.name) return option;
  }
  throw Failure(Exit::usage, "Unknown option --" + name + "; --help lists the known ones.");
}

const std::string& Arguments::value(const std::string& name) const {
  const auto found = values_.find(name);
  if (found == values_.end() || found->second.empty()) {
    throw Failure(Exit::usage, "--" + name + " is missing; --help says what it is.");
  }
  return found->second;
}

std::string Arguments::value(const std::string& name, const std::string& otherwise) const {
  return has(name) ? value(name) : otherwise;
}

std::string Arguments::choice(const std::string& name, const std::vector<std::string>& choices,
                              const std::string& otherwise) const {
  const std::string word = value(name, otherwise);
  if (word == otherwise) return word;
  if (std::find(choices.begin(), choices.end(), word) != choices.end()) return word;
  std::string list;
  for (const std::string& known : choices) list += (list.empty() ? "" : ", ") + known;
  throw Failure(Exit::usage, "--" + name + " " + word + " is not one of: " + list + ".");
}

unsigned Arguments::number(const std::string& name, unsigned otherwise, unsigned least) const {
  if (!has(name)) return otherwise;
  const std::string& text = value(name);
  char* end = nullptr;
  const unsigned long n = std::strtoul(text.c_str(), &end, 10);
  if (*end != '\0' || text[0] == '-' || n < least || n > 1000000000) {
    throw Failure(Exit::usage, "--" + name + " " + text + " is not a number of at least " +
                                   std::to_string(least) + ".");
  }
  return static_cast<unsigned>(n);
}

void Arguments::exclusive(const std::string& one, const std::string& other) const {
  if (has(one) && has(other)) {
    throw Failure(Exit::usage, "--" + one + " and --" + other + " exclude each other.");
  }
}

void Arguments::printHelp() const {
  std::printf("usage: %s [options]\n\n%s\n\n", program_, purpose_);
  for (const Option& option : options_) {
    const std::string left = std::string("--") + option.name + " " + option.placeholder;
    std::printf("  %-34s %s\n", left.c_str(), option.help);
  }
}

std::vector<std::string> splitList(const std::string& text, char separator) {
  std::vector<std::string> pieces;
  std::istringstream stream(text);
  for (std::string piece; std::getline(stream, piece, separator);) {
    if (!piece.empty()) pieces.push_back(piece);
  }
  return pieces;
}

}  // namespace openqnn
