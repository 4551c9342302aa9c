#include "build_id.hpp"

#include <cstring>

#include "failure.hpp"
#include "files.hpp"

namespace openqnn {

namespace {

constexpr size_t kStampDigits = 12;

size_t digits(const char* text, const char* end) {
  size_t count = 0;
  while (text + count < end && text[count] >= '0' && text[count] <= '9') ++count;
  return count;
}

/** The length of the build id that starts at `text`, which holds a v; 0 where none does. */
size_t lengthAt(const char* text, const char* end) {
  const char* at = text + 1;
  for (int part = 0; part < 3; ++part) {
    const size_t count = digits(at, end);
    if (count == 0 || count > 3 || at + count == end || at[count] != '.') return 0;
    at += count + 1;
  }
  return digits(at, end) == kStampDigits ? static_cast<size_t>(at - text) + kStampDigits : 0;
}

}  // namespace

std::string buildIdIn(const char* text, size_t size) {
  const char* const end = text + size;
  while (text < end) {
    text = static_cast<const char*>(std::memchr(text, 'v', static_cast<size_t>(end - text)));
    if (text == nullptr) break;
    if (const size_t length = lengthAt(text, end); length != 0) return {text, length};
    ++text;
  }
  return {};
}

std::string buildIdOf(const std::string& path) {
  const MappedFile file(path);
  return buildIdIn(reinterpret_cast<const char*>(file.data()), file.size());
}

void checkBuild(const std::string& path, const std::string& buildId, const std::string& owner) {
  const std::string found = buildIdOf(path);
  if (found == buildId) return;
  throw Failure(Exit::version, path + " is of QNN build " + (found.empty() ? "unknown" : found) +
                                   ", " + owner + " of build " + buildId +
                                   ": take both from one package.");
}

}  // namespace openqnn
