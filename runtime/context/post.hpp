// SPDX-License-Identifier: Apache-2.0
// Bytes from one rank to another, of any length, with a deadline: for what moves seldom and is
// large, such as shards of checkpoints. Sending returns at once; messages of a pair of ranks come
// in their order.
#pragma once

#include <cstddef>
#include <cstdint>
#include <list>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "runtime/context/context.hpp"

namespace lockstep {

class Post {
 public:
  // Collective: the messages have a space of their own.
  Post(const Context& context, double timeout_seconds);

  // `owner` keeps the bytes until they are gone.
  void send(int to, std::span<const std::byte> bytes, std::shared_ptr<const void> owner);
  // SystemError names the rank that does not send within the deadline.
  std::vector<std::byte> receive(int from);
  void finish();  // all that was sent is gone

 private:
  struct Sent {
    int to;
    std::uint64_t bytes;
    std::shared_ptr<const void> owner;
    std::vector<MPI_Request> requests{};
  };
  void wait(std::vector<MPI_Request>& requests, const std::string& what,
            const std::shared_ptr<const void>& owner);

  const Context& context_;
  double timeout_seconds_;
  CommHandle comm_;
  std::list<Sent> sent_;
};

}  // namespace lockstep
