// SPDX-License-Identifier: Apache-2.0
#include "collectives/transport.hpp"

#include <algorithm>
#include <map>
#include <new>

#include "collectives/copy_bytes.hpp"
#include "collectives/transports/subgroup.hpp"
#include "runtime/base/error.hpp"

namespace lockstep {

Transport::Transport() = default;
Transport::~Transport() = default;

int Transport::node_of(int) const {
  return 0;
}

GroupShape Transport::shape() {
  std::vector<int> on_node;
  for (int r = 0; r < size(); ++r) {
    const auto node = static_cast<std::size_t>(node_of(r));
    if (node >= on_node.size()) on_node.resize(node + 1);
    ++on_node[node];
  }
  const auto [least, most] = std::minmax_element(on_node.begin(), on_node.end());
  const bool one_node = on_node.size() == 1;
  const SharedMemory* memory =
      one_node || on_node.size() == static_cast<std::size_t>(size()) ? shared() : inside().shared();
  return {.ranks = size(),
          .nodes = static_cast<int>(on_node.size()),
          .even = *least == *most,
          .shared_memory = memory && one_node,
          .shared_inside = memory != nullptr,
          .reads_private = memory && memory->reads_private(),
          .crowded = memory && memory->crowded()};
}

void Transport::begin(const Call& call, const Deadline& deadline) {
  fingerprint_ = call.fingerprint();
  deadline_ = deadline;
}

std::shared_ptr<std::byte> Transport::allocate(std::size_t) {
  return nullptr;
}

bool Transport::owns(const Elements&) const {
  return false;
}

Ticket Transport::post_send(const Elements& data, int to) {
  if (data.count > 0) start_send(++posted_, data, to);
  return posted_;
}

Ticket Transport::post_receive(const Elements& data, int from) {
  if (data.count > 0) start_receive(++posted_, data, from);
  return posted_;
}

void Transport::send(const Elements& data, int to) {
  complete(post_send(data, to));
}

void Transport::receive(const Elements& data, int from) {
  complete(post_receive(data, from));
}

void Transport::exchange(const Elements& out, int to, const Elements& in, int from) {
  post_receive(in, from);
  complete(post_send(out, to));
}

void Transport::combine(const Elements& out, const Elements& a, const Elements& b, ReduceOp op) {
  lockstep::combine(out, a, b, op);
}

void Transport::copy(const Elements& out, const Elements& in) {
  expect(out.bytes() == in.bytes(), "copy of unequal sizes");
  if (out.data != in.data) copy_bytes(out.data, in.data, in.bytes());
}

void Transport::combine_all(std::span<const Elements> outs, std::span<const Elements> in,
                            ReduceOp op) {
  lockstep::combine_all(outs, in, op);
}

Elements Transport::scratch(std::size_t count, DType dtype) {
  const std::size_t bytes = count * size_of(dtype);
  if (scratch_bytes_ < bytes) {
    scratch_ = working_memory(bytes);
    scratch_bytes_ = bytes;
  }
  return {scratch_.get(), count, dtype};
}

std::shared_ptr<std::byte> Transport::working_memory(std::size_t bytes) {
  constexpr std::align_val_t kLine{64};
  return {static_cast<std::byte*>(::operator new(bytes, kLine)),
          [](std::byte* memory) { ::operator delete(memory, kLine); }};
}

Transport& Transport::inside() {
  if (!inside_) {
    std::vector<int> mine;
    for (int r = 0; r < size(); ++r) {
      if (node_of(r) == node_of(rank())) mine.push_back(r);
    }
    inside_ = node_group(std::move(mine));
  }
  return now_in(*inside_);
}

Transport& Transport::across() {
  if (!across_) {
    std::map<int, int> on_node;  // ranks seen so far
    std::vector<int> place_of;   // among the ranks of its node
    for (int r = 0; r < size(); ++r)
      place_of.push_back(on_node[node_of(r)]++);
    const int mine_is = place_of[static_cast<std::size_t>(rank())];
    std::vector<int> mine;
    for (int r = 0; r < size(); ++r) {
      if (place_of[static_cast<std::size_t>(r)] == mine_is) mine.push_back(r);
    }
    across_ = make_subgroup(*this, std::move(mine));
  }
  return now_in(*across_);
}

// What was begun on the whole goes on in the part.
Transport& Transport::now_in(Transport& part) const {
  part.fingerprint_ = fingerprint_;
  part.deadline_ = deadline_;
  return part;
}

std::unique_ptr<Transport> Transport::node_group(std::vector<int> ranks) {
  return make_subgroup(*this, std::move(ranks));
}

}  // namespace lockstep
