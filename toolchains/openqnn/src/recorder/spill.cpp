/**
 * An allocator for the process that records, where this library is preloaded.
 *
 * The execution provider copies every weight before it creates the first tensor: the whole model
 * in memory. Here, once large blocks take `kInMemory`, the next ones are mapped from an unlinked
 * file in the folder of the record, and leave memory as soon as newer ones are asked for. Blocks
 * below a MiB are the C library's.
 */
#include "spill.hpp"

#include <dlfcn.h>
#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cerrno>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <mutex>

extern "C" {
void* __libc_malloc(size_t size);
void* __libc_calloc(size_t count, size_t size);
void* __libc_realloc(void* block, size_t size);
void* __libc_memalign(size_t alignment, size_t size);
void __libc_free(void* block);
}

namespace {

constexpr size_t kLarge = 1 << 20;
constexpr size_t kPage = 4096;
constexpr size_t kMostBlocks = 1 << 14;
constexpr size_t kInMemory = 256 << 20;
constexpr size_t kNewest = 2;  // a weight that is transposed is read from one into the other
constexpr off_t kAnonymous = -1;

struct Block {
  void* data;
  size_t size;
  off_t offset;  // in the file, or kAnonymous
};

std::mutex guard;
Block blocks[kMostBlocks];  // in order of their making; static, as nothing may allocate in here
size_t count = 0;
size_t in_memory = 0;
off_t end = 0;
int file = -1;

size_t rounded(size_t size) { return (size + kPage - 1) / kPage * kPage; }

bool open_file() {
  const char* folder = std::getenv("OPENQNN_RECORD");
  if (file >= 0 || folder == nullptr) return file >= 0;
  char path[4096];
  std::snprintf(path, sizeof path, "%s/spill", folder);
  file = open(path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
  if (file >= 0) unlink(path);
  return file >= 0;
}

Block* find(const void* data) {
  for (size_t i = count; i-- > 0;) {
    if (blocks[i].data == data) return &blocks[i];
  }
  return nullptr;
}

void spill() {
  for (size_t i = 0; i + kNewest < count; ++i) {
    const Block& block = blocks[i];
    if (block.offset != kAnonymous) madvise(block.data, block.size, MADV_DONTNEED);
  }
}

/** Return where a new block of the file begins, or kAnonymous for one in memory. */
off_t place(size_t size) {
  if (in_memory + size <= kInMemory || !open_file()) return kAnonymous;
  return posix_fallocate(file, end, static_cast<off_t>(size)) == 0 ? end : kAnonymous;
}

void* map_at(size_t size, off_t offset) {
  constexpr int kAccess = PROT_READ | PROT_WRITE;
  if (offset != kAnonymous) return mmap(nullptr, size, kAccess, MAP_SHARED, file, offset);
  return mmap(nullptr, size, kAccess, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
}

/** Where the disk is full, blocks stay in memory; where too many live, the C library takes over. */
void* map(size_t size) {
  const std::lock_guard<std::mutex> lock(guard);
  size = rounded(size);
  if (count == kMostBlocks) return nullptr;
  const off_t offset = place(size);
  void* data = map_at(size, offset);
  if (data == MAP_FAILED) return nullptr;
  blocks[count++] = {data, size, offset};
  if (offset == kAnonymous) {
    in_memory += size;
  } else {
    end += static_cast<off_t>(size);
  }
  spill();
  return data;
}

/** Blocks begin on a page, where those of the C library hardly ever do. */
bool may_be_ours(const void* data) {
  return data != nullptr && reinterpret_cast<uintptr_t>(data) % kPage == 0;
}

size_t size_of(const void* data) {
  if (!may_be_ours(data)) return 0;
  const std::lock_guard<std::mutex> lock(guard);
  const Block* block = find(data);
  return block ? block->size : 0;
}

bool unmap(void* data) {
  if (!may_be_ours(data)) return false;
  const std::lock_guard<std::mutex> lock(guard);
  Block* block = find(data);
  if (!block) return false;
  munmap(block->data, block->size);
  if (block->offset == kAnonymous) {
    in_memory -= block->size;
  } else {
    const auto size = static_cast<off_t>(block->size);
    fallocate(file, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, block->offset, size);
  }
  std::memmove(block, block + 1, static_cast<size_t>(blocks + count - block - 1) * sizeof(Block));
  --count;
  return true;
}

void* aligned(size_t alignment, size_t size) {
  void* data = size >= kLarge && alignment <= kPage ? map(size) : nullptr;
  return data ? data : __libc_memalign(alignment, size);
}

}  // namespace

void openqnn::spill_blocks() {
  const std::lock_guard<std::mutex> lock(guard);
  spill();
}

#define EXPORTED extern "C" __attribute__((visibility("default")))

EXPORTED void* malloc(size_t size) {
  void* data = size >= kLarge ? map(size) : nullptr;
  return data ? data : __libc_malloc(size);
}

EXPORTED void* calloc(size_t number, size_t size) {
  size_t bytes = 0;
  const bool fits = !__builtin_mul_overflow(number, size, &bytes);
  void* data = fits && bytes >= kLarge ? map(bytes) : nullptr;  // new pages are zero
  return data ? data : __libc_calloc(number, size);
}

EXPORTED void* realloc(void* block, size_t size) {
  const size_t old = size_of(block);
  if (old == 0) return __libc_realloc(block, size);
  void* data = malloc(size);
  if (!data) return nullptr;
  std::memcpy(data, block, old < size ? old : size);
  unmap(block);
  return data;
}

EXPORTED void free(void* block) {
  if (!unmap(block)) __libc_free(block);
}

EXPORTED void* memalign(size_t alignment, size_t size) { return aligned(alignment, size); }

EXPORTED void* aligned_alloc(size_t alignment, size_t size) { return aligned(alignment, size); }

EXPORTED int posix_memalign(void** out, size_t alignment, size_t size) {
  *out = aligned(alignment, size);
  return *out ? 0 : ENOMEM;
}

EXPORTED size_t malloc_usable_size(void* block) {
  const size_t size = size_of(block);
  using Function = size_t (*)(void*);
  if (size) return size;
  static const auto real = reinterpret_cast<Function>(dlsym(RTLD_NEXT, "malloc_usable_size"));
  return real(block);
}
