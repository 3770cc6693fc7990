// SPDX-License-Identifier: Apache-2.0
#include "collectives/verify_memory.hpp"

#include "collectives/verify_words.hpp"

namespace lockstep {

namespace {

std::size_t index(int i) {
  return static_cast<std::size_t>(i);
}

bool touch_others(const Schedule& schedule) {
  for (std::size_t r = 0; r < schedule.ranks.size(); ++r) {
    for (const Region& region : schedule.ranks[r].regions) {
      if (index(region.rank) != r && region.bytes > 0) return true;
    }
  }
  return false;
}

}  // namespace

SymbolMemory::SymbolMemory(const Schedule& schedule)
    : schedule_(schedule),
      unit_(bytes_of_element(schedule.call)),
      shared_(touch_others(schedule)),
      sums_(schedule.call.ranks()),
      elements_(schedule.ranks.size()),
      touches_(schedule.ranks.size()) {
  for (int r = 0; r < schedule.call.ranks(); ++r)
    set_up(r);
}

void SymbolMemory::set_up(int rank) {
  const Track& track = schedule_.ranks[index(rank)];
  for (const Area& area : track.areas) {
    elements_[index(rank)].emplace_back(area.bytes / unit_);
    if (shared_) touches_[index(rank)].emplace_back(area.bytes / unit_);
  }
  const std::size_t first = schedule_.call.brings(rank).begin;
  const auto brought = elements(track.in);
  for (std::size_t i = 0; i < brought.size(); ++i)
    brought[i] = {static_cast<std::uint32_t>(first + i), static_cast<Sums::Number>(rank) + 1};
}

std::span<SymbolMemory::Element> SymbolMemory::elements(const Region& region) {
  if (region.bytes == 0) return {};
  return std::span(elements_[index(region.rank)][index(region.area)])
      .subspan(region.begin / unit_, region.bytes / unit_);
}

void SymbolMemory::expect_inside(const Region& region) const {
  const auto& areas = schedule_.ranks[index(region.rank)].areas;
  if (index(region.area) < areas.size() &&
      region.begin + region.bytes <= areas[index(region.area)].bytes) {
    return;
  }
  throw refuted("goes beyond the end of ", name_of(schedule_, region, 0));
}

void SymbolMemory::expect_ordered(const Region& region, int rank, Access access,
                                  const Order& order) {
  if (!shared_) return;
  auto& touches = touches_[index(region.rank)][index(region.area)];
  for (std::size_t i = 0; i < region.bytes / unit_; ++i) {
    const Order::Race race = order.touch(touches[region.begin / unit_ + i], rank, access);
    if (race.other < 0) continue;
    throw refuted(verb(access), name_of(schedule_, region, i), " with no barrier behind rank ",
                  race.other, ", which ", verb(race.access), "it");
  }
}

void SymbolMemory::copy(const Region& out, const Region& in) {
  const auto from = elements(in), to = elements(out);
  for (std::size_t i = 0; i < from.size(); ++i)
    to[i] = from[i];
}

void SymbolMemory::combine(std::span<const Region> outs, std::span<const Region> ins,
                           Sums::Way way) {
  const auto first = elements(ins[0]);
  for (std::size_t i = 0; i < first.size(); ++i) {
    Element sum = first[i];
    expect_something(sum, ins[0], i);
    for (const Region& in : ins.subspan(1))
      sum = added(sum, in, i, way);
    for (const Region& out : outs)
      elements(out)[i] = sum;
  }
}

SymbolMemory::Element SymbolMemory::added(const Element& sum, const Region& region, std::size_t i,
                                          Sums::Way way) {
  const Element& more = elements(region)[i];
  expect_something(more, region, i);
  if (more.index != sum.index) {
    throw refuted("adds element ", more.index, " at ", name_of(schedule_, region, i),
                  " to element ", sum.index);
  }
  if (const int twice = sums_.common(sum.sum, more.sum); twice >= 0) {
    throw refuted("counts rank ", twice, " twice in element ", sum.index, " at ",
                  name_of(schedule_, region, i));
  }
  return {sum.index, sums_.add(sum.sum, more.sum, way)};
}

void SymbolMemory::expect_something(const Element& value, const Region& region,
                                    std::size_t i) const {
  if (value.sum == 0)
    throw refuted("adds what nobody has written: ", name_of(schedule_, region, i));
}

}  // namespace lockstep
