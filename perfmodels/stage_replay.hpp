// SPDX-License-Identifier: Apache-2.0
// When the operations of a step run on ranks that wait for each other: one rank of each pipeline
// stage, with streams in order and edges between them: one computes, and one communicates or, on
// devices that communicate apart ("cuda"), one for each lane. While a rank computes and
// communicates, both go slower by their factor; what several lanes send over the same links
// (inside the node, or between nodes) at the same time shares their rate, since each alone is
// priced at all of it. Communication that is not joint begins when the last rank is there and,
// beside kernels, a delay later.
//
//   joint        an operation of several stages begins when the last of them has come to it, and
//                ends when all have done their share of it
//   eager        a message whose sender begins when it comes to it; the receiver ends with it, or
//   at
//                once if it comes later
//   apart        the same in the lane of the pipeline, and the receiver has no item for it: what
//                needs it begins when it has arrived
//   awaited      apart, and begins when the receiver has come to it: to the item that posts it
//
// Cost: O(log stages) per item, some 50 to 100 ns; a step of 64 stages and 512 micro-batches has a
// million items.
#pragma once

#include <array>
#include <cstdint>
#include <vector>

#include "perfmodels/machine/machine.hpp"
#include "runtime/device/recording.hpp"

namespace lockstep {

struct Slowdowns {
  double compute = 1, communication = 1;  // factors on time while the other stream works
  double delay = 0;                       // of a collective as long as kernels are at work
};

// As the profile measured it; 1 where it did not. Where the threads of a rank take all its cores,
// communication has to share them: both take twice as long unless the profile knows how the cores
// are shared, and what communication computes while it takes c times as long is lost to the
// kernels, whose factor is at least c / (c - 1).
Slowdowns slowdowns_of(const Machine& machine);
bool shares_cores(const Machine& machine);
// Whether each lane has a stream of its own.
bool communicates_apart(const Machine& machine);

// What it waited for before is not in it, but the last rank and a core are (`late`, `delay`).
struct Span {
  double begin = 0, end = 0;
  double seconds() const { return end - begin; }
};

// What communication occupies.
enum class Path : std::uint8_t { none, inside, across };
Path path_of(const Operation& operation);

struct ReplayItem {
  double seconds = 0;       // alone
  int after = -1;           // item of the other kind of stream of this rank that has ended before
  double late = 0;          // how long after that the last rank is there; not of joint operations
  int joint = -1;           // number of the joint operation that this is the rank's share of
  int needs = -1;           // number of a message apart that has arrived before
  int posts = -1;           // number of an awaited message that may begin when this has ended
  Lane lane = Lane::world;  // of communication; joint operations are in that of the world
  Path path = Path::none;
};

// Items of `messages`, the lane of the pipeline, wait for those of `compute`, as `communication`
// does.
struct StageItems {
  std::vector<ReplayItem> compute{}, communication{}, messages{};
};

struct Joint {
  std::vector<int> stages{};  // who takes part; of a message the sender, then the receiver
  bool eager = false, apart = false, awaited = false;
};

struct StageSpans {
  std::vector<Span> compute{}, communication{}, messages{};
};

// Joint operations belong to the streams of communication and of messages. LogicError if the
// streams wait for each other.
std::vector<StageSpans> replay(const std::vector<StageItems>& stages,
                               const std::vector<Joint>& joints, const Slowdowns& slowdowns);

}  // namespace lockstep
