// SPDX-License-Identifier: Apache-2.0
#include "collectives/backends/staged.hpp"

#include <array>
#include <utility>

#include "collectives/backends/alone.hpp"
#include "collectives/backoff.hpp"
#include "collectives/pieces.hpp"
#include "collectives/wait_errors.hpp"
#include "runtime/device/cuda_copies.hpp"

namespace lockstep::staged {

namespace {

// A fifth of a millisecond of PCIe: long beside what a launch and a call of MPI cost.
constexpr std::size_t kPieceBytes = std::size_t{4} << 20;

// Page-locked memory that grows.
class Buffer {
 public:
  std::byte* of(std::size_t bytes) {
    if (bytes > bytes_) {
      memory_ = nullptr;
      memory_ = CudaCopies::pinned(bytes);
      bytes_ = bytes;
    }
    return memory_.get();
  }

 private:
  std::shared_ptr<std::byte> memory_;
  std::size_t bytes_ = 0;
};

// Where one piece is staged: in the GPU's memory, on its way, in the GPU's memory again.
struct Slot {
  CallPiece piece;
  Buffer in, out;
  CudaCopies::Mark fetched, stored;
};

std::size_t total_bytes(std::span<const Call> messages) {
  std::size_t bytes = 0;
  for (const Call& m : messages)
    bytes += m.bytes();
  return bytes;
}

class StagedBackend : public Backend {
 public:
  StagedBackend(std::unique_ptr<Backend> host, Device& device, Below below)
      : host_(std::move(host)), device_(device), below_(below), copies_(device) {}

  int rank() const override { return host_->rank(); }
  int size() const override { return host_->size(); }
  GroupShape shape() const override { return host_->shape(); }
  Links links() const override { return host_->links(); }
  std::vector<Choice> candidates(const Call& call) const override {
    return host_->candidates(call);
  }
  Choice choose(const Call& call) const override { return host_->choose(call); }
  void launch_into(Stream& stream) override { copies_.go_out_in(stream); }

  void run(const Call& call, const Choice& choice, const Deadline& deadline) override {
    copies_.enter();
    if (below_ == Below::moves_gpu_memory && !reduces(call.what)) {
      await(copies_.mark_out(), deadline);
      return host_->run(call, choice, deadline);
    }
    const int pieces = num_pieces(call, kPieceBytes);
    fetch(call, pieces, 0, deadline);
    for (int i = 0; i < pieces; ++i) {
      if (i + 1 < pieces) fetch(call, pieces, i + 1, deadline);
      Slot& slot = slot_of(i);
      await(slot.fetched, deadline);
      // What serves the whole call may not serve its pieces, which are smaller.
      const Call& part = slot.piece.call;
      host_->run(part, pieces == 1 ? choice : host_->choose(part), deadline);
      store(slot);
    }
    for (const Slot& slot : slots_)
      await(slot.stored, deadline);
  }

  // Each message as a whole, because its other end may be among other messages.
  void transfer(std::span<const Call> messages, const Deadline& deadline) override {
    copies_.enter();
    if (below_ == Below::moves_gpu_memory) {
      await(copies_.mark_out(), deadline);
      return host_->transfer(messages, deadline);
    }
    std::vector<Call> staged(messages.begin(), messages.end());
    std::byte* at = messages_.of(total_bytes(messages));
    for (Call& m : staged) {
      const bool sends = m.what == Collective::send;
      if (sends && m.bytes() > 0) copies_.out(at, m.in.data, m.bytes());
      (sends ? m.in : m.out).data = at;
      at += m.bytes();
    }
    await(copies_.mark_out(), deadline);
    host_->transfer(staged, deadline);
    for (std::size_t i = 0; i < staged.size(); ++i) {
      const Elements &to = messages[i].out, &from = staged[i].out;
      if (staged[i].what == Collective::receive && to.count > 0)
        copies_.in(to.data, from.data, to.bytes());
    }
    await(copies_.mark_in(), deadline);
  }

  std::unique_ptr<Backend> split(const std::vector<int>& colors) override {
    auto part = host_->split(colors);
    if (part->size() == 1) return alone::make(device_, host_->choose(barrier_call()).label);
    return std::make_unique<StagedBackend>(std::move(part), device_, below_);
  }

 private:
  static bool reduces(Collective what) {
    return what == Collective::all_reduce || what == Collective::reduce_scatter ||
           what == Collective::reduce;
  }

  Slot& slot_of(int i) { return slots_[static_cast<std::size_t>(i) % slots_.size()]; }

  void fetch(const Call& call, int pieces, int i, const Deadline& deadline) {
    Slot& slot = slot_of(i);
    await(slot.stored, deadline);  // of the piece that was here before
    slot.piece = piece_of(call, rank(), pieces, i);
    Call& part = slot.piece.call;
    part.in.data = slot.in.of(std::max(part.in.bytes(), part.out.bytes()));
    part.out.data = slot.piece.in_place ? part.in.data : slot.out.of(part.out.bytes());
    std::byte* at = part.in.data;
    for (const Elements& e : slot.piece.given) {
      if (e.count > 0) copies_.out(at, e.data, e.bytes());
      at += e.bytes();
    }
    slot.fetched = copies_.mark_out();
  }

  void store(Slot& slot) {
    Call& part = slot.piece.call;
    if (slot.piece.gotten.empty()) return;
    finish(part.out, part.op, size());
    const std::byte* at = part.out.data;
    for (const Elements& e : slot.piece.gotten) {
      if (e.count > 0) copies_.in(e.data, at, e.bytes());
      at += e.bytes();
    }
    slot.stored = copies_.mark_in();
  }

  static void await(const CudaCopies::Mark& mark, const Deadline& deadline) {
    Backoff backoff(deadline);
    while (!mark.done()) {
      if (!backoff.pause()) throw_timeout("copying between this rank's GPU and its memory");
    }
  }

  std::unique_ptr<Backend> host_;
  Device& device_;
  Below below_;
  CudaCopies copies_;
  std::array<Slot, 3> slots_;
  Buffer messages_;
};

}  // namespace

std::unique_ptr<Backend> make(std::unique_ptr<Backend> host, Device& device, Below below) {
  return std::make_unique<StagedBackend>(std::move(host), device, below);
}

}  // namespace lockstep::staged
