// SPDX-License-Identifier: Apache-2.0
#include "runtime/context/post.hpp"

#include <algorithm>
#include <chrono>
#include <thread>

#include "runtime/base/clock.hpp"
#include "runtime/base/format.hpp"

namespace lockstep {

namespace {

constexpr std::uint64_t kPiece = std::uint64_t{1} << 30;  // MPI counts are int
constexpr std::chrono::microseconds kLook(50);
constexpr int kTag = 0;

// start(offset, count, request) for each piece that MPI can count.
template <class Start>
void in_pieces(std::vector<MPI_Request>& requests, std::uint64_t bytes, Start start) {
  for (std::uint64_t at = 0; at < bytes; at += kPiece) {
    requests.push_back(MPI_REQUEST_NULL);
    check_mpi(start(at, static_cast<int>(std::min(kPiece, bytes - at)), &requests.back()));
  }
}

}  // namespace

Post::Post(const Context& context, double timeout_seconds)
    : context_(context), timeout_seconds_(timeout_seconds), comm_(duplicate(context.world())) {}

void Post::send(int to, std::span<const std::byte> bytes, std::shared_ptr<const void> owner) {
  Sent& sent = sent_.emplace_back(Sent{to, bytes.size(), std::move(owner)});
  sent.requests.push_back(MPI_REQUEST_NULL);
  check_mpi(MPI_Isend(&sent.bytes, 1, MPI_UINT64_T, to, kTag, comm_.get(), &sent.requests.back()));
  in_pieces(sent.requests, bytes.size(), [&](std::uint64_t at, int count, MPI_Request* request) {
    return MPI_Isend(bytes.data() + at, count, MPI_BYTE, to, kTag, comm_.get(), request);
  });
}

std::vector<std::byte> Post::receive(int from) {
  const std::string what = "a message from rank " + std::to_string(from);
  const auto size = std::make_shared<std::uint64_t>(0);
  std::vector<MPI_Request> requests(1, MPI_REQUEST_NULL);
  check_mpi(MPI_Irecv(size.get(), 1, MPI_UINT64_T, from, kTag, comm_.get(), &requests[0]));
  wait(requests, what, size);

  const auto bytes = std::make_shared<std::vector<std::byte>>(*size);
  requests.clear();
  in_pieces(requests, *size, [&](std::uint64_t at, int count, MPI_Request* request) {
    return MPI_Irecv(bytes->data() + at, count, MPI_BYTE, from, kTag, comm_.get(), request);
  });
  wait(requests, what, bytes);
  return std::move(*bytes);
}

void Post::finish() {
  for (; !sent_.empty(); sent_.pop_front()) {
    Sent& first = sent_.front();
    wait(first.requests, "rank " + std::to_string(first.to) + " to take a message", first.owner);
  }
}

// Of what is given up MPI may still read or write the memory.
void Post::wait(std::vector<MPI_Request>& requests, const std::string& what,
                const std::shared_ptr<const void>& owner) {
  const double deadline = now() + timeout_seconds_;
  const auto count = static_cast<int>(requests.size());
  for (int done = 0; !done;) {
    check_mpi(MPI_Testall(count, requests.data(), &done, MPI_STATUSES_IGNORE));
    if (done) return;
    if (now() > deadline) {
      context_.keep(owner);
      for (const Sent& sent : sent_)
        context_.keep(sent.owner);
      throw SystemError(format("waited %.0f s for %s", timeout_seconds_, what.c_str()));
    }
    std::this_thread::sleep_for(kLook);
  }
}

}  // namespace lockstep
