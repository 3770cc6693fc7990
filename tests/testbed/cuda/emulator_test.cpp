// SPDX-License-Identifier: Apache-2.0
// What the emulation does, and what it must not let pass.
#include "tests/testbed/cuda/emulator.hpp"

#include <cstdlib>
#include <cstring>
#include <set>
#include <vector>

#include <sys/wait.h>
#include <unistd.h>

#include "runtime/kernels/cuda_code.cuh"
#include "tests/support/catch.hpp"
#include "tests/testbed/cuda/fake_memory.hpp"

using namespace lockstep;
using namespace lockstep::kernels::cuda;

namespace {

void run(unsigned blocks, unsigned threads, const std::function<void()>& body,
         std::size_t shared_bytes = 0) {
  emulated::run_grid({blocks, 1, 1}, {threads, 1, 1}, shared_bytes, body);
}

struct Numbers {
  int of[64];
};

}  // namespace

TEST_CASE("every thread of every block runs once") {
  std::multiset<unsigned> seen;
  run(5, 70, [&] { seen.insert(blockIdx.x * blockDim.x + threadIdx.x); });
  CHECK(seen.size() == 350);
  CHECK(std::set<unsigned>(seen.begin(), seen.end()).size() == 350);
}

TEST_CASE("shared memory passes values across a barrier, and begins as poison") {
  std::vector<int> got(64), before(64);
  for (int round = 0; round < 3; ++round) {
    run(
        1, 64,
        [&] {
          auto& numbers = shared<Numbers>();
          auto* bytes = dynamic_shared();
          before[threadIdx.x] = numbers.of[threadIdx.x] + bytes[threadIdx.x];
          numbers.of[threadIdx.x] = static_cast<int>(threadIdx.x) * 3;
          __syncthreads();
          got[threadIdx.x] = numbers.of[63 - threadIdx.x];
        },
        64);
    for (int i = 0; i < 64; ++i) {
      CHECK(got[i] == (63 - i) * 3);
      CHECK(before[i] == -1 + 255);
    }
  }
}

TEST_CASE("sums over warps and blocks arrive in every lane") {
  std::vector<float> sums(96);
  struct Partial {
    float of_warp[3];
  };
  run(1, 96, [&] {
    const auto mine = static_cast<float>(threadIdx.x);
    sums[threadIdx.x] = block_sum(mine, shared<Partial>().of_warp);
  });
  for (const float s : sums)
    CHECK(s == 95.0f * 96 / 2);
}

TEST_CASE("a warp multiplies matrices") {
  // a[i][k] = i + k, b[k][j] = k - j: small integers, exact in bfloat16.
  float c_of[16][8];
  run(1, 32, [&] {
    const int lane = static_cast<int>(threadIdx.x), i = lane / 4, pair = lane % 4 * 2;
    const auto two = [](int low) {
      return pack_bfloat16(static_cast<float>(low), static_cast<float>(low + 1));
    };
    const std::uint32_t a[4] = {two(i + pair), two(i + 8 + pair), two(i + pair + 8),
                                two(i + 8 + pair + 8)};
    float c[4] = {};
    multiply_add(c, a, two(pair - i), two(pair + 8 - i));
    for (int r = 0; r < 4; ++r)
      c_of[i + r / 2 * 8][pair + r % 2] = c[r];
  });
  for (int i = 0; i < 16; ++i) {
    for (int j = 0; j < 8; ++j) {
      float wanted = 0;
      for (int k = 0; k < 16; ++k)
        wanted += static_cast<float>((i + k) * (k - j));
      CHECK(c_of[i][j] == wanted);
    }
  }
}

TEST_CASE("four matrices come from shared memory, as they are or transposed") {
  std::vector<std::uint32_t> plain(128), turned(128);
  run(
      1, 32,
      [&] {
        auto* elements = reinterpret_cast<std::uint16_t*>(dynamic_shared());
        for (unsigned i = threadIdx.x; i < 256; i += 32)
          elements[i] = static_cast<std::uint16_t>(i);
        __syncwarp();
        std::uint32_t r[4];
        load_matrices(r, elements + threadIdx.x * 8);
        for (int m = 0; m < 4; ++m)
          plain[m * 32 + threadIdx.x] = r[m];
        load_matrices_transposed(r, elements + threadIdx.x * 8);
        for (int m = 0; m < 4; ++m)
          turned[m * 32 + threadIdx.x] = r[m];
      },
      512);
  for (unsigned m = 0; m < 4; ++m) {
    for (unsigned lane = 0; lane < 32; ++lane) {
      const unsigned i = lane / 4, j = lane % 4 * 2, at = m * 64;
      CHECK(plain[m * 32 + lane] == ((at + i * 8 + j) | ((at + i * 8 + j + 1) << 16)));
      CHECK(turned[m * 32 + lane] == ((at + j * 8 + i) | ((at + (j + 1) * 8 + i) << 16)));
    }
  }
}

TEST_CASE("what must not happen is said, with the line") {
  struct Wrong {
    const char* what;
    std::function<void()> body;
    const char* message;
  };
  const Wrong all[] = {
      {"half of the threads reach a barrier",
       [] {
         if (threadIdx.x < 32) __syncthreads();
       },
       "waits at the barrier"},
      {"two barriers for one",
       [] {
         if (threadIdx.x < 32)
           __syncthreads();
         else
           __syncthreads();
       },
       "divergence"},
      {"a shuffle without some of its lanes",
       [] {
         if (threadIdx.x != 5) warp_sum(1.0f);
       },
       "waits at the warp operation"},
      {"a lane outside of its mask", [] { __syncwarp(1u); }, "outside of its own mask"},
  };
  for (const Wrong& wrong : all) {
    INFO(wrong.what);
    CHECK_THROWS_WITH(run(2, 64, wrong.body), ContainsSubstring(wrong.message));
  }
  int runs = 0;  // and it works again
  run(1, 64, [&] {
    __syncthreads();
    ++runs;
  });
  CHECK(runs == 64);
}

TEST_CASE("a copy to shared memory is there when it was waited for, not before") {
  alignas(16) const std::uint16_t from[8] = {1, 2, 3, 4, 5, 6, 7, 8};
  int first = 0, then = 0, none = 0;
  run(
      1, 1,
      [&] {
        auto* to = reinterpret_cast<std::uint16_t*>(dynamic_shared());
        copy_async(to, from, true);
        commit_copies();
        copy_async(to + 8, from, false);
        commit_copies();
        wait_for_copies<2>();
        first = to[2];
        wait_for_copies<1>();
        then = to[2];
        wait_for_copies<0>();
        none = to[10];
      },
      32);
  CHECK(first == 0xffff);
  CHECK(then == 3);
  CHECK(none == 0);
}

TEST_CASE("a missing barrier shows in the result") {
  std::set<int> results;
  for (int round = 0; round < 4; ++round) {
    int got = 0;
    run(1, 64, [&] {
      auto& numbers = shared<Numbers>();
      numbers.of[threadIdx.x] = 7;
      if (threadIdx.x == 20) got = numbers.of[40];
    });
    results.insert(got);
  }
  CHECK(results.count(-1) == 1);
}

namespace {

// The signal that ends a process in which `body` runs, 0 for none.
template <class Body>
int signal_of(Body body) {
  const pid_t child = fork();
  if (child == 0) {
    close(STDERR_FILENO);
    body();
    _exit(0);
  }
  int status = 0;
  waitpid(child, &status, 0);
  return WIFSIGNALED(status) ? WTERMSIG(status) : 0;
}

}  // namespace

TEST_CASE(
    "memory of the GPU is closed to the host where the guard is wanted, and open to kernels") {
  const auto touches = [](bool in_kernel) {
    fake::guard();
    void* memory = nullptr;
    if (fake::take(&memory, 40) != cudaSuccess) _exit(1);
    const auto touch = [=] { std::memset(memory, 0, 40); };
    in_kernel ? run(1, 32, touch) : touch();
  };
  CHECK(signal_of([&] { touches(true); }) == 0);
  CHECK(signal_of([&] { touches(false); }) == SIGSEGV);
}

TEST_CASE("copies go where they say, where the guard makes it known") {
  const auto copies = [](cudaMemcpyKind kind) {
    fake::guard();
    void* memory = nullptr;
    int word = 1;
    if (fake::take(&memory, sizeof word) != cudaSuccess ||
        cudaMemcpyAsync(memory, &word, sizeof word, kind, nullptr) != cudaSuccess)
      std::abort();
  };
  CHECK(signal_of([&] { copies(cudaMemcpyHostToDevice); }) == 0);
  CHECK(signal_of([&] { copies(cudaMemcpyDeviceToHost); }) == SIGABRT);
  CHECK(signal_of([&] { copies(cudaMemcpyDeviceToDevice); }) == SIGABRT);
}
