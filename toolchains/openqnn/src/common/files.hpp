/** Files, mapped whole, and written so that nothing half-written is ever taken for whole. */
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>

namespace openqnn {

/** A file's bytes, read-only, as long as this lives; around them is memory that nobody can read. */
class MappedFile {
 public:
  explicit MappedFile(const std::string& path);
  MappedFile(const MappedFile&) = delete;
  MappedFile& operator=(const MappedFile&) = delete;
  ~MappedFile();

  const uint8_t* data() const { return static_cast<const uint8_t*>(data_); }
  size_t size() const { return size_; }

 private:
  void* data_ = nullptr;
  size_t size_ = 0;
};

/**
 * A new file of known size, written through memory; `commit` gives it its name. What stands at its
 * name meanwhile, `<path>.partial`, is made anew: a link that somebody planted there is not followed.
 *
 * The space is taken from the disk first, so that a full disk is an error here and not a signal
 * later. Without `commit` nothing is left behind.
 */
class OutputFile {
 public:
  OutputFile(const std::string& path, size_t size);
  OutputFile(const OutputFile&) = delete;
  OutputFile& operator=(const OutputFile&) = delete;
  ~OutputFile();

  void* data() { return data_; }
  /** Cut the file to `size`, write it to the disk and rename it. */
  void commit(size_t size);

 private:
  std::string path_;
  std::string partial_;
  int descriptor_ = -1;
  void* data_ = nullptr;
  size_t size_ = 0;
};

/** A file's text; one of more than `most` bytes is refused. */
std::string readText(const std::string& path, size_t most);
void writeFile(const std::string& path, const void* data, size_t size);
void makeFolders(const std::string& path);
/** The part before the last slash, `.` where there is none. */
std::string folderOf(const std::string& path);

}  // namespace openqnn
