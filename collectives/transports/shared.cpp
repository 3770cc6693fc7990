// SPDX-License-Identifier: Apache-2.0
#include "collectives/transports/shared.hpp"

#include <string>
#include <utility>
#include <vector>

#include "collectives/copy_bytes.hpp"
#include "collectives/transports/allocations.hpp"
#include "collectives/transports/shared_segment.hpp"
#include "collectives/wait_errors.hpp"

namespace lockstep {

namespace {

class SharedTransport : public Transport, private SharedMemory {
 public:
  SharedTransport(std::unique_ptr<SharedSpace> space, std::shared_ptr<std::byte> segment)
      : space_(std::move(space)),
        layout_(space_->size()),
        segment_(std::move(segment)),
        base_(segment_.get()),
        allocations_(std::make_shared<Allocations>()),
        me_(space_->rank()),
        p_(space_->size()),
        shown_(static_cast<std::size_t>(p_)),
        addresses_(static_cast<std::size_t>(p_)) {}

  int rank() const override { return me_; }
  int size() const override { return p_; }
  SharedMemory* shared() override { return this; }

  std::shared_ptr<std::byte> allocate(std::size_t bytes) override {
    if (bytes == 0) return nullptr;
    const std::size_t stride = (bytes + kPage - 1) / kPage * kPage;
    const auto mapping = space_->map(stride * static_cast<std::size_t>(p_));
    if (!mapping) return nullptr;
    const std::uint64_t id = allocations_->add(mapping.get(), stride);
    return {mapping.get() + static_cast<std::size_t>(me_) * stride,
            [mapping, id, table = allocations_](std::byte*) { table->remove(id); }};
  }

  bool owns(const Elements& data) const override { return allocations_->find(data, me_).id != 0; }

  std::unique_ptr<Transport> split(int color, int key) override {
    return make_shared_transport(space_->split(color, key));
  }

 protected:
  void start_send(Ticket ticket, const Elements& data, int to) override {
    const bool short_enough = data.bytes() <= layout_.slot_bytes();
    const Location where = short_enough ? Location{} : locate(data);
    const bool whole = !short_enough && (where.id != 0 || space_->can_read());
    open_.push_back({ticket, Direction::out, whole, to, data, where, fingerprint_});
    progress();
  }

  void start_receive(Ticket ticket, const Elements& data, int from) override {
    open_.push_back({ticket, Direction::in, false, from, data, {}, fingerprint_});
  }

  void finish(Ticket up_to) override {
    Backoff backoff(deadline_, space_->crowding());
    for (progress(); !open_.empty() && open_.front().ticket <= up_to; progress()) {
      if (!backoff.pause()) fail(up_to);
    }
  }

 private:
  static constexpr std::size_t kPage = 4096;
  static constexpr int kEagerPolls = 32;

  enum class Direction : std::uint8_t { out, in };
  struct Message {
    Ticket ticket;
    Direction direction;
    bool whole;  // out: the receiver fetches it
    int peer;
    Elements data;
    Location where;
    std::uint64_t fingerprint;
    std::size_t moved = 0;   // bytes that were put into slots or taken from them
    std::uint64_t last = 0;  // out, whole: complete when this many were taken
    bool complete = false;
  };

  Location locate(const Elements& data) const {
    const Location shared = allocations_->find(data, me_);
    return shared.id != 0 ? shared : Location{0, reinterpret_cast<std::uint64_t>(data.data)};
  }

  // ---- messages ----

  // Moves what can be moved. Messages to or from one peer keep their order.
  void progress() {
    for (auto message = open_.begin(); message != open_.end();) {
      if (!message->complete && !blocked(message)) advance(*message);
      const bool oldest = message == open_.begin();
      message = message->complete && oldest ? open_.erase(message) : std::next(message);
    }
  }

  bool blocked(std::vector<Message>::const_iterator message) const {
    for (auto earlier = open_.begin(); earlier != message; ++earlier) {
      const bool same_way =
          earlier->peer == message->peer && earlier->direction == message->direction;
      if (same_way && earlier->moved < earlier->data.bytes()) return true;
    }
    return false;
  }

  void advance(Message& message) {
    if (message.direction == Direction::in) return take(message);
    put(message);
  }

  void put(Message& message) {
    Channel& channel = layout_.channel(base_, me_, message.peer);
    std::uint64_t posted = channel.posted.load(std::memory_order_relaxed);
    const std::size_t bytes = message.data.bytes();
    while (message.moved < bytes) {
      if (posted - channel.taken.load(std::memory_order_acquire) == kSlots) return;
      const std::size_t piece =
          message.whole ? 0 : std::min(layout_.slot_bytes(), bytes - message.moved);
      channel.slots[posted % kSlots] = {message.fingerprint, bytes, piece, message.where};
      copy_bytes(layout_.slot_data(base_, me_, message.peer, posted),
                 message.data.data + message.moved, piece);
      message.moved = message.whole ? bytes : message.moved + piece;
      message.last = ++posted;
      channel.posted.store(posted, std::memory_order_release);
    }
    message.complete =
        !message.whole || channel.taken.load(std::memory_order_acquire) >= message.last;
  }

  void take(Message& message) {
    Channel& channel = layout_.channel(base_, message.peer, me_);
    std::uint64_t taken = channel.taken.load(std::memory_order_relaxed);
    while (message.moved < message.data.bytes() &&
           channel.posted.load(std::memory_order_acquire) > taken) {
      const Slot& slot = channel.slots[taken % kSlots];
      check(slot, message);
      std::byte* to = message.data.data + message.moved;
      if (slot.piece_bytes == 0) {
        copy_from(to, message.peer, slot.where, message.data.bytes());
        message.moved = message.data.bytes();
      } else {
        copy_bytes(to, layout_.slot_data(base_, message.peer, me_, taken), slot.piece_bytes);
        message.moved += slot.piece_bytes;
      }
      channel.taken.store(++taken, std::memory_order_release);
    }
    message.complete = message.moved == message.data.bytes();
  }

  static void check(const Slot& slot, const Message& message) {
    expect_message(slot.message_bytes, message.data.bytes(), message.peer);
    if (slot.fingerprint != message.fingerprint) throw_disagreement(message.peer);
  }

  void copy_from(std::byte* to, int rank, const Location& where, std::size_t bytes) const {
    if (where.id == 0) return space_->read(to, rank, where.offset, bytes);
    const std::byte* from = allocations_->address(where, rank);
    expect(from != nullptr, "memory was given back while it was sent");
    copy_bytes(to, from, bytes);
  }

  // The job is about to end.
  [[noreturn]] void fail(Ticket up_to) {
    std::string doing;
    for (const Message& m : open_) {
      if (m.complete || m.ticket > up_to) continue;
      doing += (doing.empty() ? "" : " and ") + (m.direction == Direction::in
                                                     ? receiving(m.data.bytes(), m.peer)
                                                     : sending(m.data.bytes(), m.peer));
    }
    open_.clear();
    throw_timeout(doing);
  }

  // ---- shared memory ----

  bool crowded() const override { return space_->crowding() != Crowding::own_core; }
  void barrier() override { arrive({}); }

  void stage(const Elements& data) override {
    expect(data.bytes() <= kStageBytes, "too much to stage");
    ++stages_;
    staged_ = data;
    const std::size_t bytes = data.bytes();
    copy_bytes(stage_of(me_, arrivals_ + 1, bytes), data.data, bytes);
    arrive({0, bytes});
  }

  Elements staged(int rank) override {
    return {stage_of(rank, arrivals_, flag(rank).shown.offset), staged_.count, staged_.dtype};
  }

  void show(const Elements& data) override {
    showing_ = data;
    arrive(locate(data));
    addressable_ = true;
    for (int r = 0; r < p_; ++r) {
      const auto k = static_cast<std::size_t>(r);
      shown_[k] = flag(r).shown;  // kept here: the next barrier but one overwrites it there
      addresses_[k] = shown_[k].id == 0 ? nullptr : allocations_->address(shown_[k], r);
      addressable_ = addressable_ && addresses_[k];
    }
  }

  bool addressable() const override { return addressable_; }

  Elements shown(int rank) override {
    if (rank == me_) return showing_;
    return {addresses_[static_cast<std::size_t>(rank)], showing_.count, showing_.dtype};
  }

  void fetch(const Elements& out, int rank, std::size_t begin) override {
    Location at = shown_by(rank);
    at.offset += begin * size_of(out.dtype);
    copy_from(out.data, rank, at, out.bytes());
  }

  bool reads_private() const override { return space_->can_read(); }

  const Location& shown_by(int rank) const { return shown_[static_cast<std::size_t>(rank)]; }

  Flag& flag(int rank) const { return layout_.flag(base_, rank, arrivals_); }

  std::byte* stage_of(int rank, std::uint64_t arrival, std::size_t bytes) const {
    const bool few = bytes <= sizeof(Flag::staged);
    return few ? layout_.flag(base_, rank, arrival).staged : layout_.stage(base_, rank, stages_);
  }

  void arrive(const Location& shown) {
    ++arrivals_;
    Flag& mine = flag(me_);
    mine.fingerprint = fingerprint_;
    mine.shown = shown;
    mine.arrived.store(arrivals_, std::memory_order_release);
    for (int step = 1; step < p_; ++step) {
      const int r = (me_ + step) % p_;
      const Flag& other = flag(r);
      if (!arrived_at_once(other)) await(other, r);
      if (other.fingerprint != fingerprint_) throw_disagreement(r);
    }
  }

  // A rank that comes with this one is a few loads away: what a short call mostly waits for.
  bool arrived_at_once(const Flag& other) const {
    for (int poll = 0; poll < kEagerPolls; ++poll) {
      if (other.arrived.load(std::memory_order_acquire) >= arrivals_) return true;
    }
    return false;
  }

  void await(const Flag& other, int rank) {
    Backoff backoff(deadline_, space_->crowding());
    while (other.arrived.load(std::memory_order_acquire) < arrivals_) {
      if (!backoff.pause()) throw_timeout("waiting for rank " + std::to_string(rank));
    }
  }

  std::unique_ptr<SharedSpace> space_;
  SegmentLayout layout_;
  std::shared_ptr<std::byte> segment_;
  std::byte* base_;
  std::shared_ptr<Allocations> allocations_;
  int me_, p_;
  std::vector<Message> open_;  // oldest first
  std::uint64_t arrivals_ = 0, stages_ = 0;
  std::vector<Location> shown_;        // by each rank
  std::vector<std::byte*> addresses_;  // of these
  Elements staged_, showing_;
  bool addressable_ = false;
};

}  // namespace

ShortBytes short_bytes(int ranks) {
  return {SegmentLayout(ranks).slot_bytes(), sizeof(Flag::staged)};
}

std::unique_ptr<Transport> make_shared_transport(std::unique_ptr<SharedSpace> space) {
  if (space->alone()) return space->messages();
  if (auto segment = space->map(SegmentLayout(space->size()).bytes())) {
    return std::make_unique<SharedTransport>(std::move(space), std::move(segment));
  }
  auto messages = space->messages();
  if (!messages) throw SystemError("the ranks of a group have neither common memory nor messages");
  return messages;
}

}  // namespace lockstep
