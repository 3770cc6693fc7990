// SPDX-License-Identifier: Apache-2.0
#include "tests/testbed/cuda/fake_memory.hpp"

#include <algorithm>
#include <atomic>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <map>
#include <mutex>

#include <execinfo.h>
#include <signal.h>
#include <sys/mman.h>
#include <unistd.h>

namespace lockstep::fake {
namespace {

std::atomic<std::size_t> in_use{0};
bool is_guarded = std::getenv("LOCKSTEP_GUARD_GPU") != nullptr;

// Blocks begin with what is not a number: larger ones are workspaces.
constexpr std::size_t kPoisoned = std::size_t{1} << 20;

void poison(void* memory, std::size_t bytes) {
  std::memset(memory, 0xff, std::min(bytes, kPoisoned));
}

// ---- open memory: the size stands before the block, in a header that keeps 256 bytes of
// alignment.

constexpr std::size_t kHeader = 256;

class Blocks {
 public:
  void add(const void* begin, std::size_t bytes) {
    const std::lock_guard lock(mutex_);
    sizes_[begin] = bytes;
  }
  void remove(const void* begin) {
    const std::lock_guard lock(mutex_);
    sizes_.erase(begin);
  }
  bool have(const void* memory) {
    const std::lock_guard lock(mutex_);
    const auto behind = sizes_.upper_bound(memory);
    if (behind == sizes_.begin()) return false;
    const auto& [begin, bytes] = *std::prev(behind);
    return memory < static_cast<const unsigned char*>(begin) + std::max<std::size_t>(bytes, 1);
  }

 private:
  std::mutex mutex_;
  std::map<const void*, std::size_t> sizes_;
};

Blocks& open_blocks() {
  static auto* const made = new Blocks;  // as arena()
  return *made;
}

cudaError_t take_open(void** memory, std::size_t bytes) {
  void* taken = nullptr;
  if (posix_memalign(&taken, kHeader, kHeader + bytes) != 0) return cudaErrorMemoryAllocation;
  auto* block = static_cast<unsigned char*>(taken);
  std::memcpy(block, &bytes, sizeof bytes);
  *memory = block + kHeader;
  poison(*memory, bytes);
  open_blocks().add(*memory, bytes);
  in_use += bytes;
  return cudaSuccess;
}

void give_back_open(void* memory) {
  auto* block = static_cast<unsigned char*>(memory) - kHeader;
  std::size_t bytes = 0;
  std::memcpy(&bytes, block, sizeof bytes);
  open_blocks().remove(memory);
  in_use -= bytes;
  std::free(block);
}

// ---- guarded memory: whole pages of one range of addresses, which a GPU at rest keeps closed.
// Opened and closed as a whole: two system calls a launch.

constexpr std::size_t kPage = 4096;

void say_who_touched_it(int, siginfo_t* what, void*);

class Arena {
 public:
  Arena() {
    void* range =
        mmap(nullptr, kMemory, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (range == MAP_FAILED) std::abort();
    begin_ = static_cast<unsigned char*>(range);
    free_.emplace(0, kMemory);
    struct sigaction action {};
    action.sa_sigaction = say_who_touched_it;
    action.sa_flags = SA_SIGINFO | SA_RESETHAND;
    sigaction(SIGSEGV, &action, nullptr);
  }

  bool has(const void* memory) const {
    const auto* at = static_cast<const unsigned char*>(memory);
    return at >= begin_ && at < begin_ + kMemory;
  }

  // The first that fits.
  cudaError_t take(void** memory, std::size_t bytes) {
    const std::lock_guard lock(mutex_);
    const std::size_t size = (bytes / kPage + 1) * kPage;
    const auto place = std::find_if(free_.begin(), free_.end(),
                                    [&](const auto& range) { return range.second >= size; });
    if (place == free_.end()) return cudaErrorMemoryAllocation;
    const auto [at, room] = *place;
    free_.erase(place);
    if (room > size) free_.emplace(at + size, room - size);
    taken_.emplace(at, size);
    in_use += size;
    end_ = std::max(end_, at + size);
    *memory = begin_ + at;
    change(at, size, PROT_READ | PROT_WRITE);
    poison(*memory, bytes);
    if (working_ == 0) change(at, size, PROT_NONE);
    return cudaSuccess;
  }

  void give_back(void* memory) {
    const std::lock_guard lock(mutex_);
    const auto block =
        taken_.find(static_cast<std::size_t>(static_cast<unsigned char*>(memory) - begin_));
    if (block == taken_.end()) std::abort();  // no block begins there
    auto [at, size] = *block;
    taken_.erase(block);
    in_use -= size;
    madvise(begin_ + at, size, MADV_DONTNEED);
    const auto next = free_.lower_bound(at);
    if (next != free_.end() && next->first == at + size) {
      size += next->second;
      free_.erase(next);
    }
    free_.emplace(at, size);
  }

  void work(int more) {
    const std::lock_guard lock(mutex_);
    const bool was = working_ > 0;
    working_ += more;
    if (was == (working_ > 0)) return;
    change(0, end_, working_ > 0 ? PROT_READ | PROT_WRITE : PROT_NONE);
  }

 private:
  void change(std::size_t at, std::size_t size, int to) {
    if (size && mprotect(begin_ + at, size, to) != 0) std::abort();
  }

  std::mutex mutex_;
  unsigned char* begin_;
  std::size_t end_ = 0;                              // of all that was ever taken
  std::map<std::size_t, std::size_t> free_, taken_;  // sizes by offset
  int working_ = 0;
};

Arena& arena() {
  static auto* const made = new Arena;  // as long as the process: destructors free memory late
  return *made;
}

void say_who_touched_it(int, siginfo_t* what, void*) {
  if (!arena().has(what->si_addr)) return;  // it happens again, and ends the process as usual
  constexpr char kText[] = "emulated GPU: the host touched memory of the GPU\n";
  (void)!write(STDERR_FILENO, kText, sizeof kText - 1);
  void* frames[32];
  backtrace_symbols_fd(frames, backtrace(frames, 32), STDERR_FILENO);
}

}  // namespace

void guard() {
  is_guarded = true;
}

bool guarded() {
  return is_guarded;
}

bool on_gpu(const void* memory) {
  return guarded() ? arena().has(memory) : open_blocks().have(memory);
}

std::size_t allocated() {
  return in_use;
}

cudaError_t take(void** memory, std::size_t bytes) {
  if (bytes > kMemory) return cudaErrorMemoryAllocation;
  return guarded() ? arena().take(memory, bytes) : take_open(memory, bytes);
}

void give_back(void* memory) {
  if (!memory) return;
  guarded() ? arena().give_back(memory) : give_back_open(memory);
}

}  // namespace lockstep::fake

extern "C" void lockstep_gpu_works(int more) {
  if (lockstep::fake::guarded()) lockstep::fake::arena().work(more);
}
