// SPDX-License-Identifier: Apache-2.0
#include "collectives/verify_messages.hpp"

#include <algorithm>
#include <utility>

#include "collectives/verify_words.hpp"

namespace lockstep {

namespace {

std::size_t index(int i) {
  return static_cast<std::size_t>(i);
}

}  // namespace

std::optional<Messages::Pair> Messages::post(int rank, Open message) {
  open_[index(rank)].push_back(std::move(message));
  Open& posted = open_[index(rank)].back();
  for (Open& other : open_[index(posted.peer)]) {
    if (other.matched || other.peer != rank || other.what == posted.what) continue;
    other.matched = posted.matched = true;
    Open &send = posted.sends() ? posted : other, &receive = posted.sends() ? other : posted;
    if (send.region.bytes != receive.region.bytes) {
      throw refuted(send.region.bytes, " bytes of rank ", send.region.rank, " meet a receive of ",
                    receive.region.bytes, " by rank ", receive.region.rank);
    }
    receive.sent = send.sent;
    return Pair{send, receive};
  }
  return std::nullopt;
}

bool Messages::matched(int rank, std::uint64_t up_to) const {
  const auto& open = open_[index(rank)];
  return std::all_of(open.begin(), open.end(),
                     [&](const Open& m) { return m.matched || m.ticket > up_to; });
}

std::optional<Messages::Open> Messages::end_one(int rank, std::uint64_t up_to) {
  auto& open = open_[index(rank)];
  if (open.empty() || open.front().ticket > up_to) return std::nullopt;
  Open ended = std::move(open.front());
  open.pop_front();
  return ended;
}

const Messages::Open* Messages::oldest(int rank) const {
  const auto& open = open_[index(rank)];
  return open.empty() ? nullptr : &open.front();
}

const Messages::Open& Messages::awaited(int rank) const {
  const auto& open = open_[index(rank)];
  return *std::find_if(open.begin(), open.end(), [](const Open& m) { return !m.matched; });
}

void Messages::expect_apart(const Region& region, Access access) const {
  for (const Open& open : open_[index(region.rank)])
    expect_apart(open, region, access);
}

void Messages::expect_apart(const Open& open, const Region& region, Access access) const {
  if (open.region.area != region.area || (open.sends() && access == Access::read) ||
      open.region.begin >= region.begin + region.bytes ||
      region.begin >= open.region.begin + open.region.bytes) {
    return;
  }
  const std::size_t first = std::max(region.begin, open.region.begin);
  throw refuted(verb(access), name_of(schedule_, {region.rank, region.area, first, 0}, 0),
                " while it is ", open.sends() ? "sent to rank " : "received from rank ", open.peer);
}

}  // namespace lockstep
