/** Long options in Qualcomm's style: `--name value`, `--name=value`, or a flag. */
#pragma once

#include <map>
#include <string>
#include <vector>

namespace openqnn {

struct Option {
  const char* name;
  const char* placeholder;  ///< what the help calls the value; empty for a flag
  const char* help;
};

class Arguments {
 public:
  /**
   * Read a command line. `--help` and `--version` are always known and end the program.
   * Raises a usage failure on unknown, repeated or valueless options and on stray words.
   */
  Arguments(const char* program, const char* purpose, std::vector<Option> options, int argc,
            char** argv);

  bool has(const std::string& name) const { return values_.count(name) != 0; }
  /** The value of an option that must be there. */
  const std::string& value(const std::string& name) const;
  std::string value(const std::string& name, const std::string& otherwise) const;
  /** A value that must be one of `choices`. */
  std::string choice(const std::string& name, const std::vector<std::string>& choices,
                     const std::string& otherwise) const;
  /** A value that must be a whole number of at least `least`. */
  unsigned number(const std::string& name, unsigned otherwise, unsigned least) const;
  /** Refuse two options that contradict each other. */
  void exclusive(const std::string& one, const std::string& other) const;

 private:
  const Option& find(const std::string& name) const;
  void take(const std::string& word, int argc, char** argv, int& next);
  void printHelp() const;

  const char* program_;
  const char* purpose_;
  std::vector<Option> options_;
  std::map<std::string, std::string> values_;
};

/** Split at commas; no pieces are empty. */
std::vector<std::string> splitList(const std::string& text, char separator = ',');

}  // namespace openqnn
