// SPDX-License-Identifier: Apache-2.0
#include "tests/testbed/cuda/emulator.hpp"

#include <algorithm>
#include <cstring>
#include <deque>
#include <exception>
#include <mutex>
#include <string>
#include <utility>
#include <vector>

#include "runtime/base/error.hpp"
#include "tests/testbed/cuda/fake_memory.hpp"
#include "tests/testbed/cuda/fiber.hpp"

namespace lockstep::emulated {

Index thread_index, block_index, block_size, grid_size;

namespace {

constexpr unsigned kLanes = 32;
constexpr int kPoison = 0xff;

enum class At { runs, barrier, warp, end };

struct Copy {
  void* to;
  const void* from;
  bool valid;
};

struct Thread {
  Fiber fiber;
  std::vector<Copy> open;                // not committed
  std::deque<std::vector<Copy>> groups;  // committed
  Index index;
  At at = At::end;
  int line = 0;
  unsigned mask = 0;
  void* payload = nullptr;
  Combine combine = nullptr;
};

struct Memory {
  void* address;
  std::size_t bytes;
};

std::mutex one_launch;  // what follows is of it
std::deque<Thread> threads;
unsigned num_threads, current;
const std::function<void()>* kernel;
std::vector<unsigned char> dynamic;
std::vector<Memory> remembered;
std::exception_ptr thrown;
unsigned turn;  // counts blocks: the order of threads changes with it

[[noreturn]] void fail(const std::string& what) {
  throw SystemError("emulated GPU: block " + std::to_string(block_index.x) + "," +
                    std::to_string(block_index.y) + "," + std::to_string(block_index.z) + ": " +
                    what);
}

std::string place_of(unsigned t) {
  static constexpr const char* kWhere[] = {"runs", "waits at the barrier of line ",
                                           "waits at the warp operation of line ", "has left"};
  const Thread& thread = threads[t];
  std::string text = "thread " + std::to_string(t) + " " + kWhere[static_cast<int>(thread.at)];
  if (thread.at == At::barrier || thread.at == At::warp) text += std::to_string(thread.line);
  return text;
}

// No exception may leave a fiber: the stack ends there.
void enter() {
  try {
    (*kernel)();
  } catch (...) {
    thrown = std::current_exception();
  }
}

void stop_at(At where, int line) {
  threads[current].at = where;
  threads[current].line = line;
  Fiber::pause();
}

void resume(unsigned t) {
  Thread& thread = threads[t];
  current = t;
  thread_index = thread.index;
  thread.fiber.resume();
  if (thread.fiber.done()) thread.at = At::end;
  if (thrown) std::rethrow_exception(std::exchange(thrown, nullptr));
}

// Carries out the operation that the lane waits at, if all others of its mask have come.
bool settle(unsigned warp, unsigned lane) {
  const Thread& first = threads[warp + lane];
  void* payload[kLanes] = {};
  for (unsigned l = 0; l < kLanes; ++l) {
    if (!(first.mask >> l & 1)) continue;
    if (warp + l >= num_threads) fail(place_of(warp + lane) + " with lanes that do not exist");
    const Thread& other = threads[warp + l];
    if (other.at != At::warp || other.line != first.line || other.combine != first.combine ||
        other.mask != first.mask)
      return false;
    payload[l] = other.payload;
  }
  const unsigned mask = first.mask;
  first.combine(payload, mask);
  for (unsigned l = 0; l < kLanes; ++l) {
    if (mask >> l & 1) threads[warp + l].at = At::runs;
  }
  return true;
}

// Runs the lanes of a warp as far as they come by themselves; false if none could run.
bool run_warp(unsigned warp) {
  const unsigned lanes = std::min(kLanes, num_threads - warp);
  bool any = false;
  for (bool again = true; again;) {
    again = false;
    for (unsigned i = 0; i < lanes; ++i) {
      const unsigned lane = turn % 2 ? lanes - 1 - i : i;
      if (threads[warp + lane].at == At::runs) {
        resume(warp + lane);
        any = true;
      }
    }
    for (unsigned lane = 0; lane < lanes; ++lane) {
      if (threads[warp + lane].at == At::warp && settle(warp, lane)) again = true;
    }
  }
  return any;
}

// True if all have left. All wait at one barrier, or something is wrong.
bool pass_barrier() {
  unsigned left = 0;
  for (unsigned t = 0; t < num_threads; ++t)
    left += threads[t].at == At::end;
  if (left == num_threads) return true;
  for (unsigned t = 0; t < num_threads; ++t) {
    const unsigned other = t == 0 ? num_threads - 1 : 0;
    if (threads[t].at != At::barrier || threads[t].line != threads[other].line)
      fail("divergence: " + place_of(t) + ", " + place_of(other));
  }
  for (unsigned t = 0; t < num_threads; ++t)
    threads[t].at = At::runs;
  return false;
}

void run_block() {
  if (!dynamic.empty()) std::memset(dynamic.data(), kPoison, dynamic.size());
  for (const Memory& m : remembered)
    std::memset(m.address, kPoison, m.bytes);
  for (unsigned t = 0; t < num_threads; ++t) {
    threads[t].index = {t % block_size.x, t / block_size.x % block_size.y,
                        t / (block_size.x * block_size.y)};
    threads[t].at = At::runs;
    threads[t].open.clear();
    threads[t].groups.clear();
    threads[t].fiber.start(enter);
  }
  const unsigned warps = (num_threads + kLanes - 1) / kLanes;
  do {
    for (bool any = true; any;) {
      any = false;
      for (unsigned w = 0; w < warps; ++w)
        any |= run_warp((turn / 2 % 2 ? warps - 1 - w : w) * kLanes);
    }
  } while (!pass_barrier());
  ++turn;
}

}  // namespace

void run_grid(Index grid, Index block, std::size_t shared_bytes,
              const std::function<void()>& body) {
  const std::lock_guard lock(one_launch);
  const fake::OnGpu works;
  grid_size = grid;
  block_size = block;
  num_threads = block.x * block.y * block.z;
  const std::size_t blocks = std::size_t{grid.x} * grid.y * grid.z;
  if (blocks == 0 || num_threads == 0 || num_threads > 1024 || grid.y > 65535 || grid.z > 65535)
    fail("not a grid of blocks: " + std::to_string(blocks) + " of " + std::to_string(num_threads));
  while (threads.size() < num_threads)
    threads.emplace_back();
  kernel = &body;
  std::vector<unsigned char>(shared_bytes).swap(dynamic);  // its exact size, for the sanitizer
  const bool backwards = turn % 3 == 1;
  for (std::size_t i = 0; i < blocks; ++i) {
    const std::size_t b = backwards ? blocks - 1 - i : i;
    block_index = {static_cast<unsigned>(b % grid.x), static_cast<unsigned>(b / grid.x % grid.y),
                   static_cast<unsigned>(b / grid.x / grid.y)};
    run_block();
  }
}

unsigned char* dynamic_shared() {
  return dynamic.data();
}

bool remember_shared(void* memory, std::size_t bytes) {
  std::memset(memory, kPoison, bytes);
  remembered.push_back({memory, bytes});
  return true;
}

void barrier(int line) {
  stop_at(At::barrier, line);
}

void copy_later(void* to, const void* from, bool valid) {
  threads[current].open.push_back({to, from, valid});
}

void commit_copies() {
  threads[current].groups.push_back(std::exchange(threads[current].open, {}));
}

void wait_for_copies(std::size_t groups) {
  for (auto& mine = threads[current].groups; mine.size() > groups; mine.pop_front()) {
    for (const Copy& c : mine.front()) {
      if (c.valid)
        std::memcpy(c.to, c.from, 16);
      else
        std::memset(c.to, 0, 16);
    }
  }
}

void together(unsigned mask, void* payload, Combine combine, int line) {
  Thread& me = threads[current];
  if (!(mask >> current % kLanes & 1)) fail(place_of(current) + " outside of its own mask");
  me.mask = mask;
  me.payload = payload;
  me.combine = combine;
  stop_at(At::warp, line);
}

}  // namespace lockstep::emulated
