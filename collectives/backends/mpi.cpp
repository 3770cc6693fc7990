// SPDX-License-Identifier: Apache-2.0
#include "collectives/backends/mpi.hpp"

#include <algorithm>
#include <climits>
#include <string>
#include <utility>

#include "collectives/mpi_requests.hpp"
#include "collectives/wait_errors.hpp"

namespace lockstep::mpi {

namespace {

constexpr int kTag = 0;
constexpr const char* kAllRanks = "waiting for all ranks of the group";

MPI_Datatype type_of(DType dtype) {
  switch (dtype) {
    case DType::float32:
      return MPI_FLOAT;
    case DType::float64:
      return MPI_DOUBLE;
    case DType::int32:
      return MPI_INT32_T;
    case DType::int64:
      return MPI_INT64_T;
    case DType::uint8:
      return MPI_UINT8_T;
    case DType::bfloat16:
    case DType::float16:
      return MPI_UINT16_T;  // moved as they are; op_of refuses to reduce them
  }
  throw LogicError("no such type");
}

MPI_Op op_of(ReduceOp op, DType dtype) {
  expect(dtype != DType::bfloat16 && dtype != DType::float16, "no reduction of 16-bit floats");
  switch (op) {
    case ReduceOp::sum:
    case ReduceOp::average:
      return MPI_SUM;
    case ReduceOp::product:
      return MPI_PROD;
    case ReduceOp::min:
      return MPI_MIN;
    case ReduceOp::max:
      return MPI_MAX;
  }
  throw LogicError("no such reduction");
}

int count_of(std::size_t count) {
  if (count > INT_MAX) {
    throw SystemError(std::to_string(count) +
                      " elements are more than an MPI call can count; use "
                      "collectives.backend = \"native\"");
  }
  return static_cast<int>(count);
}

// Counts and offsets of the near-equal blocks, as MPI wants them.
struct Blocks {
  std::vector<int> counts, offsets;
  Blocks(std::size_t n, int p) {
    count_of(n);
    for (int i = 0; i < p; ++i) {
      const Block b = block_bounds(n, p, i);
      counts.push_back(static_cast<int>(b.count));
      offsets.push_back(static_cast<int>(b.begin));
    }
  }
};

class MpiBackend : public Backend {
 public:
  MpiBackend(CommHandle comm, double timeout_seconds)
      : comm_(std::move(comm)), timeout_(timeout_seconds) {
    check_mpi(MPI_Comm_rank(comm_.get(), &rank_));
    check_mpi(MPI_Comm_size(comm_.get(), &size_));
  }

  int rank() const override { return rank_; }
  int size() const override { return size_; }
  const char* label(Collective, std::size_t) const override { return "mpi"; }

  void all_reduce(const Elements& data, ReduceOp op) override {
    complete(kAllRanks, [&](MPI_Request* request) {
      return MPI_Iallreduce(MPI_IN_PLACE, data.data, count_of(data.count), type_of(data.dtype),
                            op_of(op, data.dtype), comm_.get(), request);
    });
  }

  void reduce_scatter(const Elements& shard, const Elements& full, ReduceOp op) override {
    const Blocks blocks(full.count, size_);
    // MPI allows no overlap, but a shard may be the rank's own block of the input.
    const bool inside = shard.data >= full.data && shard.data < full.data + full.bytes();
    std::vector<std::byte> apart(inside ? shard.bytes() : 0);
    complete(kAllRanks, [&](MPI_Request* request) {
      return MPI_Ireduce_scatter(full.data, inside ? apart.data() : shard.data,
                                 blocks.counts.data(), type_of(full.dtype), op_of(op, full.dtype),
                                 comm_.get(), request);
    });
    std::copy(apart.begin(), apart.end(), shard.data);
  }

  void all_gather(const Elements& full, const Elements& shard) override {
    const Blocks blocks(full.count, size_);
    const bool in_place = shard.data == block_of(full, size_, rank_).data;
    complete(kAllRanks, [&](MPI_Request* request) {
      return MPI_Iallgatherv(in_place ? MPI_IN_PLACE : shard.data, count_of(shard.count),
                             type_of(shard.dtype), full.data, blocks.counts.data(),
                             blocks.offsets.data(), type_of(full.dtype), comm_.get(), request);
    });
  }

  void broadcast(const Elements& data, int root) override {
    complete(kAllRanks, [&](MPI_Request* request) {
      return MPI_Ibcast(data.data, count_of(data.count), type_of(data.dtype), root, comm_.get(),
                        request);
    });
  }

  void send(const Elements& data, int to) override {
    complete(sending(data.bytes(), to), [&](MPI_Request* request) {
      return MPI_Isend(data.data, count_of(data.count), type_of(data.dtype), to, kTag, comm_.get(),
                       request);
    });
  }

  void receive(const Elements& data, int from) override {
    complete(receiving(data.bytes(), from), [&](MPI_Request* request) {
      return MPI_Irecv(data.data, count_of(data.count), type_of(data.dtype), from, kTag,
                       comm_.get(), request);
    });
  }

  void barrier() override {
    complete(kAllRanks, [&](MPI_Request* request) { return MPI_Ibarrier(comm_.get(), request); });
  }

  std::unique_ptr<Backend> split(const std::vector<int>& colors) override {
    const int color = colors[static_cast<std::size_t>(rank_)];
    return std::make_unique<MpiBackend>(lockstep::split(comm_.get(), color, rank_), timeout_);
  }

 private:
  // Makes one non-blocking call and waits for it. After a deadline the call stays open inside
  // MPI, which offers no way to take a collective back: the job is about to end.
  template <class Call>
  void complete(const std::string& waiting_for, Call call) {
    requests_.assign(1, MPI_REQUEST_NULL);
    check_mpi(call(requests_.data()));
    if (!wait_all(requests_, statuses_, timeout_)) {
      throw_timeout(waiting_for, timeout_);
    }
  }

  CommHandle comm_;
  double timeout_;
  int rank_ = 0, size_ = 1;
  std::vector<MPI_Request> requests_;
  std::vector<MPI_Status> statuses_;
};

}  // namespace

std::unique_ptr<Backend> make(MPI_Comm comm, const CommunicatorOptions& options) {
  return std::make_unique<MpiBackend>(duplicate(comm), options.timeout_seconds);
}

}  // namespace lockstep::mpi
