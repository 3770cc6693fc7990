// SPDX-License-Identifier: Apache-2.0
#include "collectives/backends/mpi.hpp"

#include <algorithm>
#include <array>
#include <climits>
#include <cstring>
#include <map>
#include <optional>
#include <string>
#include <utility>

#include "collectives/mpi_requests.hpp"
#include "collectives/select.hpp"
#include "collectives/transports/nodes.hpp"
#include "collectives/wait_errors.hpp"

namespace lockstep::mpi {

namespace {

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
      return MPI_UINT16_T;  // moved as they are; reduced by our own operation
  }
  throw LogicError("no such type");
}

// MPI knows no 16-bit floats: their reduction is ours.
template <DType dtype, ReduceOp op>
void combine_16(void* in, void* inout, int* count, MPI_Datatype*) {
  const auto n = static_cast<std::size_t>(*count);
  const Elements a{static_cast<std::byte*>(in), n, dtype};
  const Elements b{static_cast<std::byte*>(inout), n, dtype};
  combine(b, a, b, op);
}

template <DType dtype>
MPI_User_function* function_of(ReduceOp op) {
  switch (op) {
    case ReduceOp::sum:
    case ReduceOp::average:
      return combine_16<dtype, ReduceOp::sum>;
    case ReduceOp::product:
      return combine_16<dtype, ReduceOp::product>;
    case ReduceOp::min:
      return combine_16<dtype, ReduceOp::min>;
    case ReduceOp::max:
      return combine_16<dtype, ReduceOp::max>;
  }
  throw LogicError("no such reduction");
}

struct OpTraits {
  using type = MPI_Op;
  static MPI_Op null() { return MPI_OP_NULL; }
  static void destroy(MPI_Op op) noexcept {
    int finalized = 0;
    if (MPI_Finalized(&finalized) == MPI_SUCCESS && !finalized) MPI_Op_free(&op);
  }
};
using OpHandle = UniqueHandle<OpTraits>;

// The operations of one backend: MPI's own, and ours where it has none.
class Operations {
 public:
  MPI_Op of(ReduceOp op, DType dtype) {
    if (dtype == DType::bfloat16) return own(op, dtype, function_of<DType::bfloat16>(op));
    if (dtype == DType::float16) return own(op, dtype, function_of<DType::float16>(op));
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

 private:
  MPI_Op own(ReduceOp op, DType dtype, MPI_User_function* function) {
    OpHandle& handle = own_[{op, dtype}];
    if (handle.get() == MPI_OP_NULL) {
      MPI_Op made = MPI_OP_NULL;
      check_mpi(MPI_Op_create(function, 1, &made));
      handle = OpHandle(made);
    }
    return handle.get();
  }

  std::map<std::pair<ReduceOp, DType>, OpHandle> own_;
};

int count_of(std::size_t count) {
  if (count > INT_MAX) {
    throw SystemError(std::to_string(count) +
                      " elements are more than an MPI call can count; use "
                      "collectives.backend = \"native\"");
  }
  return static_cast<int>(count);
}

// Counts and offsets of the blocks, as MPI wants them.
struct Layout {
  std::vector<int> counts, offsets;
  explicit Layout(const Blocks& blocks) {
    count_of(blocks.total());
    for (int i = 0; i < blocks.size(); ++i) {
      counts.push_back(static_cast<int>(blocks[i].count));
      offsets.push_back(static_cast<int>(blocks[i].begin));
    }
  }
};

bool inside(const Elements& part, const Elements& whole) {
  return part.data >= whole.data && part.data < whole.data + whole.bytes();
}

class MpiBackend : public Backend {
 public:
  explicit MpiBackend(CommHandle comm) : comm_(std::move(comm)) {
    check_mpi(MPI_Comm_rank(comm_.get(), &rank_));
    check_mpi(MPI_Comm_size(comm_.get(), &shape_.ranks));
    for (const int node : nodes_of(comm_.get()))
      shape_.nodes = std::max(shape_.nodes, node + 1);
  }

  int rank() const override { return rank_; }
  int size() const override { return shape_.ranks; }
  GroupShape shape() const override { return shape_; }
  std::vector<Choice> candidates(const Call& call) const override { return {choose(call)}; }
  Choice choose(const Call&) const override { return {.label = "mpi"}; }

  void run(const Call& call, const Choice&, const Deadline& deadline) override {
    agree(call, deadline);
    layout_.emplace(call.blocks);  // lives as long as MPI reads it
    // MPI allows no overlap, but a shard may be the rank's own block of the input.
    const bool apart = call.what == Collective::reduce_scatter && inside(call.out, call.in);
    spare_.resize(apart ? call.out.bytes() : 0);
    std::byte* out = apart ? spare_.data() : call.out.data;

    MPI_Request request = MPI_REQUEST_NULL;
    check_mpi(start(call, out, &request));
    if (!wait_all({&request, 1}, statuses_, deadline)) {
      throw_timeout("waiting for all ranks of the group");
    }
    if (apart) std::memcpy(call.out.data, out, call.out.bytes());
  }

  void transfer(std::span<const Call> messages, const Deadline& deadline) override {
    std::vector<MPI_Request> requests;
    for (const Call& m : messages) {
      const int tag = tag_of(m.fingerprint()), n = count_of(m.count());
      const MPI_Datatype type = type_of(m.dtype);
      requests.push_back(MPI_REQUEST_NULL);
      check_mpi(m.what == Collective::send
                    ? MPI_Isend(m.in.data, n, type, m.root, tag, comm_.get(), &requests.back())
                    : MPI_Irecv(m.out.data, n, type, m.root, tag, comm_.get(), &requests.back()));
    }
    bool in_time = false;
    try {
      in_time = wait_all(requests, statuses_, deadline);
    } catch (...) {
      give_up(messages, requests);
      throw;
    }
    if (!in_time) throw_timeout(give_up(messages, requests));
  }

  std::unique_ptr<Backend> split(const std::vector<int>& colors) override {
    const int color = colors[static_cast<std::size_t>(rank_)];
    return std::make_unique<MpiBackend>(lockstep::split(comm_.get(), color, rank_));
  }

 private:
  // The library's collectives corrupt memory or hang where ranks call different ones. So the ranks
  // compare fingerprints first: all bits of f and of ~f are common to all only if all f are equal.
  // Costs an all-reduce of 16 bytes, and makes every call wait for all ranks.
  void agree(const Call& call, const Deadline& deadline) {
    if (size() == 1) return;
    const std::uint64_t f = call.fingerprint();
    mine_ = {f, ~f};
    MPI_Request request = MPI_REQUEST_NULL;
    check_mpi(MPI_Iallreduce(mine_.data(), common_.data(), 2, MPI_UINT64_T, MPI_BAND, comm_.get(),
                             &request));
    if (!wait_all({&request, 1}, statuses_, deadline)) {
      throw_timeout("waiting for all ranks of the group to come");
    }
    if (common_ != mine_) throw DisagreementError("the ranks have called different operations");
  }

  // Takes receives back, so that no late message is written into memory that the caller frees.
  // Returns what was under way.
  static std::string give_up(std::span<const Call> messages, std::vector<MPI_Request>& requests) {
    std::string doing;
    for (std::size_t i = 0; i < messages.size(); ++i) {
      if (requests[i] == MPI_REQUEST_NULL) continue;
      const Call& m = messages[i];
      const bool sends = m.what == Collective::send;
      doing += (doing.empty() ? "" : " and ") +
               (sends ? sending(m.bytes(), m.root) : receiving(m.bytes(), m.root));
      if (!sends) MPI_Cancel(&requests[i]);
      MPI_Request_free(&requests[i]);
    }
    return doing;
  }

  // After a deadline the call stays open inside MPI, which offers no way to take a collective
  // back: the communicator then keeps this backend and the elements until MPI has ended.
  int start(const Call& call, std::byte* out, MPI_Request* request) {
    MPI_Comm comm = comm_.get();
    const MPI_Datatype type = type_of(call.dtype);
    const int n = count_of(call.count()), root = call.root;
    const bool at_root = rank_ == root, in_place = call.in.data == call.out.data;
    const std::byte* in = call.in.data;
    const int *counts = layout_->counts.data(), *offsets = layout_->offsets.data();
    const int mine = counts[rank_];
    const void* in_or_place = in_place ? MPI_IN_PLACE : in;
    switch (call.what) {
      case Collective::all_reduce:
        return MPI_Iallreduce(in_or_place, out, n, type, op_of(call), comm, request);
      case Collective::reduce_scatter:
        return MPI_Ireduce_scatter(in, out, counts, type, op_of(call), comm, request);
      case Collective::all_gather: {
        // The same answer on every rank, as MPI asks: a shard is a view everywhere or nowhere.
        const bool view = call.in.data == call.block(call.out, rank_).data;
        return MPI_Iallgatherv(view ? MPI_IN_PLACE : in, mine, type, out, counts, offsets, type,
                               comm, request);
      }
      case Collective::broadcast:
        return MPI_Ibcast(out, n, type, root, comm, request);
      case Collective::reduce:
        return MPI_Ireduce(at_root ? in_or_place : in, out, n, type, op_of(call), root, comm,
                           request);
      case Collective::all_to_all:
        return MPI_Ialltoall(in_or_place, n / size(), type, out, n / size(), type, comm, request);
      case Collective::gather: {
        const bool view = at_root && in == call.block(call.out, rank_).data;
        return MPI_Igatherv(view ? MPI_IN_PLACE : in, mine, type, out, counts, offsets, type, root,
                            comm, request);
      }
      case Collective::scatter: {
        const bool view = at_root && out == call.block(call.in, rank_).data;
        return MPI_Iscatterv(in, counts, offsets, type,
                             view ? MPI_IN_PLACE : static_cast<void*>(out), mine, type, root, comm,
                             request);
      }
      case Collective::barrier:
        return MPI_Ibarrier(comm, request);
      case Collective::send:
      case Collective::receive:
        break;
    }
    throw LogicError("messages are not collectives");
  }

  MPI_Op op_of(const Call& call) { return operations_.of(call.op, call.dtype); }

  CommHandle comm_;
  int rank_ = 0;
  GroupShape shape_;
  Operations operations_;
  std::optional<Layout> layout_;
  std::vector<std::byte> spare_;
  std::vector<MPI_Status> statuses_;
  std::array<std::uint64_t, 2> mine_{}, common_{};  // of agree()
};

}  // namespace

std::unique_ptr<Backend> make(MPI_Comm comm, const CommunicatorOptions& options) {
  check_names(options);  // it looks at none of them, but a wrong one is a mistake in any case
  return std::make_unique<MpiBackend>(duplicate(comm));
}

}  // namespace lockstep::mpi
