// SPDX-License-Identifier: Apache-2.0
// How an all-reduce is timed, the same for every library, so without any of them: ranks are
// processes that meet in a file of shared memory, by flags on lines of their own.
//
// One repetition: every rank rewrites its whole input (untimed: gradients have just been written,
// too), all meet, and each times its own call. The figure of a size is the mean over ranks of each
// rank's median. Candidates take turns within a repetition.
#pragma once

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <functional>
#include <string>
#include <thread>
#include <vector>

#include <fcntl.h>
#include <sched.h>
#include <sys/mman.h>
#include <unistd.h>

namespace bench {

// argv: FILE RANKS... The file exists and is large enough (the script made it); rank counts from 0.
class Meeting {
 public:
  // `threads` that each rank has: where cores are fewer, waiting gives them away.
  Meeting(const char* path, int rank, int size, int threads = 1)
      : rank_(rank), size_(size), crowded_(size > cores()), quiet_(threads > 1) {
    const int file = open(path, O_RDWR);
    void* memory = mmap(nullptr, sizeof(Line) * size, PROT_READ | PROT_WRITE, MAP_SHARED, file, 0);
    if (file < 0 || memory == MAP_FAILED) {
      std::perror(path);
      std::exit(1);
    }
    lines_ = static_cast<Line*>(memory);
  }

  // A library with a thread of its own first gets time to finish the last call: the ranks wait
  // asleep, and then leave together.
  void meet() {
    constexpr int kBriefly = 20;  // microseconds
    if (quiet_) arrive([] { usleep(kBriefly); });
    arrive([this] {
      if (crowded_) sched_yield();
    });
  }

  // The same answer on all ranks, which rank 0 decides: whether to go on with repetition `i`. It
  // announces the end one meeting ahead, so that nobody reads it too late.
  bool goes_on(int i, bool enough) {
    if (rank_ == 0 && enough && lines_[0].last > i + 1) lines_[0].last = i + 1;
    meet();
    return i <= lines_[0].last;
  }
  void begin_size() {
    if (rank_ == 0) lines_[0].last = 1 << 30;
    meet();
  }

  // The mean over ranks.
  double mean(double mine) {
    lines_[rank_].value = mine;
    meet();
    double sum = 0;
    for (int r = 0; r < size_; ++r)
      sum += lines_[r].value;
    meet();
    return sum / size_;
  }

 private:
  struct alignas(128) Line {
    std::atomic<unsigned long> arrived;
    double value;
    int last;
  };

  void arrive(const auto& pause) {
    lines_[rank_].arrived.store(++round_, std::memory_order_release);
    for (int r = 0; r < size_; ++r) {
      while (lines_[r].arrived.load(std::memory_order_acquire) < round_)
        pause();
    }
  }

  // Of the machine: a bound rank sees only its own.
  static int cores() { return static_cast<int>(sysconf(_SC_NPROCESSORS_ONLN)); }

  int rank_, size_;
  bool crowded_, quiet_;
  unsigned long round_ = 0;
  Line* lines_;
};

struct Candidate {
  std::string name;
  float* data;                                 // its buffer
  std::function<void(std::size_t count)> run;  // the all-reduce of its buffer, float32 sum
  bool sums = true;                            // false: something else, for comparison
};

inline double median(std::vector<double>& values) {
  const auto middle = values.begin() + static_cast<std::ptrdiff_t>(values.size() / 2);
  std::nth_element(values.begin(), middle, values.end());
  return *middle;
}

inline int repetitions(std::size_t bytes) {
  constexpr double kBytes = 6e8;  // of each candidate
  return static_cast<int>(std::clamp(kBytes / static_cast<double>(bytes + 2000), 15.0, 3000.0));
}

// For each size, unless the least number of repetitions takes longer.
constexpr double kSecondsPerSize = 2;
constexpr int kLeastRepetitions = 8;

// Rank r's contribution is r + 1 everywhere.
inline void check(const Candidate& candidate, std::size_t count, int size) {
  if (!candidate.sums) return;
  const float expected = static_cast<float>(size * (size + 1) / 2);
  for (std::size_t i = 0; i < count; ++i) {
    if (candidate.data[i] == expected) continue;
    std::fprintf(stderr, "%s: wrong sum at %zu of %zu\n", candidate.name.c_str(), i, count);
    std::exit(1);
  }
}

// Prints "NAME BYTES MICROSECONDS" for each candidate and size, on rank 0.
inline void measure(Meeting& meeting, int rank, int size, std::vector<Candidate>& candidates,
                    const std::vector<std::size_t>& sizes) {
  using Clock = std::chrono::steady_clock;
  for (const std::size_t bytes : sizes) {
    const std::size_t count = bytes / sizeof(float);
    std::vector<std::vector<double>> times(candidates.size());
    const int n = repetitions(bytes), warm_up = std::min(n / 4 + 2, 50);
    const auto start = Clock::now();
    meeting.begin_size();
    const auto enough = [&](int i) {
      const std::chrono::duration<double> took = Clock::now() - start;
      return i >= kLeastRepetitions && took.count() > kSecondsPerSize;
    };
    for (int i = 0; i < n + warm_up && meeting.goes_on(i, enough(i)); ++i) {
      for (std::size_t c = 0; c < candidates.size(); ++c) {
        std::fill_n(candidates[c].data, count, static_cast<float>(rank + 1));
        meeting.meet();
        const auto begin = Clock::now();
        candidates[c].run(count);
        const std::chrono::duration<double, std::micro> took = Clock::now() - begin;
        if (i >= std::min(warm_up, kLeastRepetitions / 2)) times[c].push_back(took.count());
        if (i == 0) check(candidates[c], count, size);
      }
    }
    for (std::size_t c = 0; c < candidates.size(); ++c) {
      const double mean = meeting.mean(median(times[c]));
      if (rank == 0) std::printf("%s %zu %.4f\n", candidates[c].name.c_str(), bytes, mean);
    }
    if (rank == 0) std::fflush(stdout);
  }
}

inline std::vector<std::size_t> sizes_from(int argc, char** argv, int first) {
  std::vector<std::size_t> sizes;
  for (int i = first; i < argc; ++i)
    sizes.push_back(std::strtoull(argv[i], nullptr, 10));
  return sizes;
}

}  // namespace bench
