// SPDX-License-Identifier: Apache-2.0
// Ranks as threads of this process.
#pragma once

#include <exception>
#include <functional>
#include <thread>
#include <vector>

#include "collectives/transports/threads.hpp"
#include "runtime/base/clock.hpp"

namespace lockstep::test {

// Runs `body` once per rank, each in its thread; rethrows what the lowest failing rank threw.
// Assertions belong behind it: Catch2 counts in one thread only. Operations that `body` does not
// begin by itself have `seconds` to complete.
inline void on_ranks(int ranks, const std::function<void(Transport&)>& body, double seconds = 20,
                     ThreadReach reach = ThreadReach::everything) {
  auto transports = make_thread_transports(ranks, reach);
  std::vector<std::exception_ptr> errors(transports.size());
  std::vector<std::thread> threads;
  for (std::size_t r = 0; r < transports.size(); ++r) {
    threads.emplace_back([&, r] {
      try {
        transports[r]->begin({}, {now() + seconds});
        body(*transports[r]);
      } catch (...) {
        errors[r] = std::current_exception();
      }
    });
  }
  for (std::thread& thread : threads)
    thread.join();
  for (const std::exception_ptr& error : errors) {
    if (error) std::rethrow_exception(error);
  }
}

template <class T>
Elements elements(std::vector<T>& values) {
  return {reinterpret_cast<std::byte*>(values.data()), values.size(), dtype_of<T>()};
}

// 0, 1, p-1, p, p+1 and some more.
inline std::vector<std::size_t> counts_for(int ranks) {
  const auto p = static_cast<std::size_t>(ranks);
  return {0, 1, p - 1, p, p + 1, 64, 1000};
}

}  // namespace lockstep::test
