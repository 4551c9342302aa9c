#include "library.hpp"

#include <dlfcn.h>
#include <elf.h>
#include <link.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cstring>
#include <filesystem>
#include <utility>

#include "failure.hpp"
#include "files.hpp"

namespace openqnn {

namespace {

#if defined(__x86_64__)
constexpr Elf64_Half kMachine = EM_X86_64;
#elif defined(__aarch64__)
constexpr Elf64_Half kMachine = EM_AARCH64;
#else
#error "openqnn runs on x86_64 and aarch64"
#endif

std::string nameOf(Elf64_Half machine) {
  if (machine == EM_X86_64) return "x86_64";
  if (machine == EM_AARCH64) return "aarch64";
  if (machine == EM_QDSP6) return "Hexagon";
  return "ELF machine " + std::to_string(machine);
}

/** The loader maps segments that a truncated file no longer has; the first access would be fatal.
 */
bool holdsItsSegments(const MappedFile& file, const Elf64_Ehdr& header) {
  const uint64_t table = uint64_t{header.e_phnum} * sizeof(Elf64_Phdr);
  if (header.e_phentsize != sizeof(Elf64_Phdr) || table > file.size() ||
      header.e_phoff > file.size() - table) {
    return false;
  }
  for (unsigned i = 0; i < header.e_phnum; ++i) {
    Elf64_Phdr segment{};
    std::memcpy(&segment, file.data() + header.e_phoff + i * sizeof(segment), sizeof(segment));
    if (segment.p_filesz > file.size() || segment.p_offset > file.size() - segment.p_filesz) {
      return false;
    }
  }
  return true;
}

void inspect(const std::string& path) {
  const MappedFile file(path);
  Elf64_Ehdr header{};
  if (file.size() < sizeof(header) || std::memcmp(file.data(), ELFMAG, SELFMAG) != 0) {
    throw Failure(Exit::library, path + " is not a shared library.");
  }
  std::memcpy(&header, file.data(), sizeof(header));
  if (header.e_ident[EI_CLASS] != ELFCLASS64 || header.e_machine != kMachine) {
    throw Failure(Exit::library, path + " is for " + nameOf(header.e_machine) +
                                     "; this program runs on " + nameOf(kMachine) +
                                     " and needs a library for it.");
  }
  if (!holdsItsSegments(file, header)) {
    throw Failure(Exit::library, path + " is truncated.");
  }
}

/** For dl_iterate_phdr: drop the pages of read-only segments of the library at `*address`. */
int releaseSegments(dl_phdr_info* library, size_t, void* address) {
  if (library->dlpi_addr != *static_cast<ElfW(Addr)*>(address)) return 0;
  const auto page = static_cast<uintptr_t>(::sysconf(_SC_PAGESIZE));
  for (unsigned i = 0; i < library->dlpi_phnum; ++i) {
    const ElfW(Phdr)& segment = library->dlpi_phdr[i];
    if (segment.p_type != PT_LOAD || (segment.p_flags & PF_W) != 0) continue;
    const uintptr_t start = library->dlpi_addr + segment.p_vaddr;
    const uintptr_t first = start & ~(page - 1);
    ::madvise(reinterpret_cast<void*>(first), start + segment.p_memsz - first, MADV_DONTNEED);
  }
  return 1;
}

}  // namespace

SharedLibrary::SharedLibrary(const std::string& path) : path_(path) {
  inspect(path);
  // The loader looks for a name without a slash in folders that others choose.
  const std::string whole = std::filesystem::absolute(path).string();
  handle_ = ::dlopen(whole.c_str(), RTLD_NOW | RTLD_LOCAL);
  if (handle_ == nullptr) {
    throw Failure(Exit::library, "Cannot load " + path_ + ": " + ::dlerror() + ".");
  }
}

SharedLibrary::SharedLibrary(SharedLibrary&& other) noexcept
    : path_(std::move(other.path_)), handle_(std::exchange(other.handle_, nullptr)) {}

SharedLibrary::~SharedLibrary() {
  if (handle_ != nullptr) ::dlclose(handle_);
}

void SharedLibrary::releaseMemory() const {
  link_map* loaded = nullptr;
  if (::dlinfo(handle_, RTLD_DI_LINKMAP, &loaded) == 0) {
    ::dl_iterate_phdr(releaseSegments, &loaded->l_addr);
  }
}

void* SharedLibrary::address(const std::string& name) const {
  void* symbol = ::dlsym(handle_, name.c_str());
  if (symbol == nullptr) {
    throw Failure(Exit::library, path_ + " does not export " + name + ".");
  }
  return symbol;
}

}  // namespace openqnn
