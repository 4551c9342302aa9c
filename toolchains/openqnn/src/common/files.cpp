#include "files.hpp"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <filesystem>
#include <limits>

#include "failure.hpp"

namespace openqnn {

namespace {

[[noreturn]] void fail(const std::string& path, int error) {
  throw Failure(Exit::file, path + ": " + std::strerror(error) + ".");
}

/**
 * No offset of 32 bits leads out of the file and past these: a reader that believes a damaged one is
 * stopped, whatever else this program has in memory. It is address space only.
 */
constexpr size_t kGuard = size_t{1} << 32;

void* mapBetweenGuards(int descriptor, size_t size) {
  const int kind = MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE;
  void* space = ::mmap(nullptr, size + 2 * kGuard, PROT_NONE, kind, -1, 0);
  if (space == MAP_FAILED) return space;
  void* data = ::mmap(static_cast<char*>(space) + kGuard, size, PROT_READ, MAP_PRIVATE | MAP_FIXED,
                      descriptor, 0);
  const int error = errno;
  if (data == MAP_FAILED) ::munmap(space, size + 2 * kGuard);
  errno = error;
  return data;
}

}  // namespace

MappedFile::MappedFile(const std::string& path) {
  const int descriptor = ::open(path.c_str(), O_RDONLY | O_NONBLOCK | O_CLOEXEC);
  if (descriptor < 0) fail(path, errno);
  struct stat status {};
  const bool regular = ::fstat(descriptor, &status) == 0 && S_ISREG(status.st_mode);
  size_ = regular ? static_cast<size_t>(status.st_size) : 0;
  if (size_ != 0) data_ = mapBetweenGuards(descriptor, size_);
  const int error = errno;
  ::close(descriptor);
  if (!regular) throw Failure(Exit::file, path + " is not a file.");
  if (data_ == MAP_FAILED) fail(path, error);
}

MappedFile::~MappedFile() {
  if (size_ != 0) ::munmap(static_cast<char*>(data_) - kGuard, size_ + 2 * kGuard);
}

OutputFile::OutputFile(const std::string& path, size_t size)
    : path_(path), partial_(path + ".partial"), size_(size) {
  makeFolders(folderOf(path));
  ::unlink(partial_.c_str());  // what a killed program left, or somebody put there
  descriptor_ =
      ::open(partial_.c_str(), O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0666);
  if (descriptor_ < 0) fail(partial_, errno);
  const bool fits = size_ <= static_cast<size_t>(std::numeric_limits<off_t>::max());
  int error = !fits ? EFBIG : size_ == 0 ? 0 : ::posix_fallocate(descriptor_, 0, static_cast<off_t>(size_));
  if (error == 0 && size_ != 0) {
    data_ = ::mmap(nullptr, size_, PROT_READ | PROT_WRITE, MAP_SHARED, descriptor_, 0);
    error = data_ == MAP_FAILED ? errno : 0;
  }
  if (error == 0) return;
  ::close(descriptor_);
  ::unlink(partial_.c_str());
  fail(partial_, error);
}

OutputFile::~OutputFile() {
  if (descriptor_ < 0) return;
  if (data_ != nullptr) ::munmap(data_, size_);
  ::close(descriptor_);
  ::unlink(partial_.c_str());
}

void OutputFile::commit(size_t size) {
  const bool whole = ::ftruncate(descriptor_, static_cast<off_t>(size)) == 0 &&
                     ::fsync(descriptor_) == 0 && ::rename(partial_.c_str(), path_.c_str()) == 0;
  if (!whole) fail(path_, errno);
  if (data_ != nullptr) ::munmap(data_, size_);
  ::close(descriptor_);
  descriptor_ = -1;
}

std::string readText(const std::string& path, size_t most) {
  const MappedFile file(path);
  if (file.size() > most) {
    throw Failure(Exit::file, path + " has " + std::to_string(file.size()) + " bytes; at most " +
                                  std::to_string(most) + " are read.");
  }
  return std::string(reinterpret_cast<const char*>(file.data()), file.size());
}

void writeFile(const std::string& path, const void* data, size_t size) {
  OutputFile file(path, size);
  if (size != 0) std::memcpy(file.data(), data, size);
  file.commit(size);
}

void makeFolders(const std::string& path) {
  std::error_code error;
  std::filesystem::create_directories(path, error);
  if (error) throw Failure(Exit::file, path + ": " + error.message() + ".");
}

std::string folderOf(const std::string& path) {
  const size_t slash = path.rfind('/');
  if (slash == std::string::npos) return ".";
  return slash == 0 ? "/" : path.substr(0, slash);
}

}  // namespace openqnn
