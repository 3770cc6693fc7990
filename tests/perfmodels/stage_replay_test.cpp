// SPDX-License-Identifier: Apache-2.0
// Replays of stages that wait for each other, short enough to be worked out by hand.
#include "perfmodels/stage_replay.hpp"

#include "tests/support/catch.hpp"

using namespace lockstep;

namespace {

// Three passes of one second on the first stage, each sent in half a second to the second one,
// whose passes take two.
struct TwoStages {
  std::vector<StageItems> stages{2};
  std::vector<Joint> joints;

  explicit TwoStages(bool eager) {
    for (int i = 0; i < 3; ++i) {
      stages[0].compute.push_back({.seconds = 1});
      stages[0].communication.push_back({.seconds = 0.5, .after = i, .joint = i});
      stages[1].communication.push_back({.seconds = 0.5, .joint = i});
      stages[1].compute.push_back({.seconds = 2, .after = i});
      joints.push_back({{0, 1}, eager});
    }
  }
};

// F then B of each micro-batch on each of `num_stages`, forward down and backward up the stages.
struct GPipe {
  std::vector<StageItems> stages;
  std::vector<Joint> joints;

  GPipe(int num_stages, int micro_batches) : stages(static_cast<std::size_t>(num_stages)) {
    const auto P = stages.size();
    for (std::size_t pass = 0; pass < 2; ++pass) {
      std::vector<int> sent(static_cast<std::size_t>(micro_batches), -1);
      for (std::size_t i = 0; i < P; ++i) {
        const std::size_t s = pass == 0 ? i : P - 1 - i;
        for (int m = 0; m < micro_batches; ++m) {
          StageItems& stage = stages[s];
          int& message = sent[static_cast<std::size_t>(m)];
          stage.compute.push_back({.seconds = 1, .needs = message});
          if (i + 1 == P) continue;
          message = static_cast<int>(joints.size());
          const int to = static_cast<int>(pass == 0 ? s + 1 : s - 1);
          joints.push_back({{static_cast<int>(s), to}, true, true});
          stage.messages.push_back({.seconds = 0,
                                    .after = static_cast<int>(stage.compute.size()) - 1,
                                    .joint = message});
        }
      }
    }
  }
};

double end_of(const std::vector<StageSpans>& spans) {
  double end = 0;
  for (const StageSpans& s : spans)
    end = std::max(end, s.compute.back().end);
  return end;
}

}  // namespace

// A gather of four seconds for later, and a sum that the next kernel waits for.
TEST_CASE("lanes do not wait for each other, and share the links that both use") {
  for (const Path sum : {Path::inside, Path::across, Path::none}) {
    StageItems rank;
    rank.compute = {{.seconds = 1}, {.seconds = 1, .after = 1}, {.seconds = 1, .after = 0}};
    rank.communication = {
        {.seconds = 4, .after = 0, .lane = Lane::data, .path = Path::across},
        {.seconds = 1, .after = 0, .lane = Lane::tensor, .path = sum},
    };
    const StageSpans spans = replay({rank}, {}, {}).front();
    const bool shared = sum == Path::across;  // both at half the rate until the sum is there
    CHECK(spans.communication[0].begin == Approx(1));
    CHECK(spans.communication[1].begin == Approx(1));
    CHECK(spans.communication[1].end == Approx(shared ? 3 : 2));
    CHECK(spans.compute[1].begin == Approx(shared ? 3 : 2));
    CHECK(spans.communication[0].end == Approx(shared ? 6 : 5));
    CHECK(spans.compute[2].end == Approx(shared ? 7 : 6));
  }
}

// The same without lanes: the sum stands behind the gather.
TEST_CASE("in one queue a sum waits for what was asked for before") {
  StageItems rank;
  rank.compute = {{.seconds = 1}, {.seconds = 1, .after = 1}};
  rank.communication = {{.seconds = 4, .after = 0}, {.seconds = 1, .after = 0}};
  CHECK(replay({rank}, {}, {}).front().compute[1].begin == Approx(6));
}

// Beside a kernel both take twice as long, and the kernel, whatever the number of lanes, three
// times: 1 s of kernel is over at 3, when the sums have done 0.75 each of their 1 and 2 s.
TEST_CASE("two lanes beside kernels slow these as one does") {
  StageItems rank;
  rank.compute = {{.seconds = 1}};
  rank.communication = {{.seconds = 1, .lane = Lane::data, .path = Path::inside},
                        {.seconds = 2, .lane = Lane::tensor, .path = Path::inside}};
  const StageSpans spans = replay({rank}, {}, {.compute = 3, .communication = 2}).front();
  CHECK(spans.compute[0].end == Approx(3));
  CHECK(spans.communication[0].end == Approx(3.5));
  CHECK(spans.communication[1].end == Approx(4.5));
}

// A message and a sum between nodes share the ports.
TEST_CASE("the messages of a pipeline are a lane") {
  std::vector<StageItems> stages(2);
  stages[0].compute = {{.seconds = 1}};
  stages[0].communication = {{.seconds = 1, .after = 0, .lane = Lane::data, .path = Path::across}};
  stages[0].messages = {{.seconds = 1, .after = 0, .joint = 0, .path = Path::across}};
  stages[1].compute = {{.seconds = 1, .needs = 0}};
  const auto spans = replay(stages, {{{0, 1}, true, true}}, {});
  CHECK(spans[0].messages[0].end == Approx(3));
  CHECK(spans[0].communication[0].end == Approx(3));
  CHECK(spans[1].compute[0].end == Approx(4));
}

TEST_CASE("an awaited message begins when both ends have come to it") {
  // Half a second, to a stage that computes for three before it is there.
  std::vector<StageItems> stages(2);
  stages[0].compute = {{.seconds = 1}, {.seconds = 0, .needs = 0}, {.seconds = 1}};
  stages[0].messages = {{.seconds = 0.5, .after = 0, .joint = 0}};
  stages[1].compute = {{.seconds = 3}, {.posts = 0}, {.seconds = 0, .needs = 0}, {.seconds = 1}};
  for (const bool awaited : {false, true}) {
    const std::vector<Joint> joints = {{{0, 1}, true, true, awaited}};
    const auto spans = replay(stages, joints, {});
    CHECK(spans[0].messages[0].begin == Approx(awaited ? 3 : 1));
    CHECK(spans[0].compute[2].begin == Approx(awaited ? 3.5 : 1.5));
    CHECK(spans[1].compute[3].begin == Approx(awaited ? 3.5 : 3));
  }
}

TEST_CASE("a message begins when both ends have come to it, and the next pass waits for it") {
  const TwoStages job(false);
  const auto spans = replay(job.stages, job.joints, {});
  CHECK(spans[0].communication[1].begin == Approx(2));
  CHECK(spans[1].communication[1].end == Approx(2.5));
  CHECK(spans[1].compute[0].begin == Approx(1.5));
  CHECK(spans[1].compute[1].begin == Approx(3.5));
  CHECK(spans[1].compute[2].end == Approx(7.5));
}

TEST_CASE("a sender waits for its receiver, unless the message is eager") {
  TwoStages waits(false), eager(true);
  for (TwoStages* job : {&waits, &eager}) {
    job->stages[1].compute.insert(job->stages[1].compute.begin(), {.seconds = 10});
    for (ReplayItem& item : job->stages[1].communication)
      item.after = 0;  // the receiver is at work for 10 s before
  }
  const auto late = replay(waits.stages, waits.joints, {});
  CHECK(late[0].communication[0].begin == Approx(10));
  CHECK(late[1].compute[1].begin == Approx(10.5));
  const auto early = replay(eager.stages, eager.joints, {});
  CHECK(early[0].communication[0].end == Approx(1.5));
  CHECK(early[1].compute[1].begin == Approx(10));
}

TEST_CASE("a sum over stages begins with the last of them") {
  std::vector<StageItems> stages(4);
  for (std::size_t s = 0; s < stages.size(); ++s) {
    stages[s].compute = {{.seconds = static_cast<double>(s)}, {.seconds = 1, .after = 0}};
    stages[s].communication = {{.seconds = 2, .after = 0, .joint = 0}};
  }
  const auto spans = replay(stages, {{{0, 1, 2, 3}}}, {});
  for (const StageSpans& s : spans) {
    CHECK(s.communication[0].begin == Approx(3));
    CHECK(s.compute[1].begin == Approx(5));
  }
}

TEST_CASE("both streams of a rank go slower while both are at work") {
  std::vector<StageItems> stages(1);
  stages[0].compute = {{.seconds = 1}, {.seconds = 2}};
  stages[0].communication = {{.seconds = 1, .after = 0}};
  const auto spans = replay(stages, {}, {.compute = 2, .communication = 1.5});
  CHECK(spans[0].communication[0].end == Approx(2.5));
  CHECK(spans[0].compute[1].end == Approx(1 + 1.5 + 1.25));
}

TEST_CASE("stages of equal time idle for (P-1)/(m+P-1) of a step") {
  for (const auto& [P, m] : {std::pair{2, 4}, {4, 4}, {4, 16}, {8, 32}}) {
    INFO(P << " stages, " << m << " micro-batches");
    const GPipe job(P, m);
    CHECK(end_of(replay(job.stages, job.joints, {})) == Approx(2.0 * (m + P - 1)));
  }
}

TEST_CASE("streams that wait for each other are found") {
  std::vector<StageItems> stages(2);
  stages[0].communication = {{.seconds = 1, .joint = 0}, {.seconds = 1, .joint = 1}};
  stages[1].communication = {{.seconds = 1, .joint = 1}, {.seconds = 1, .joint = 0}};
  CHECK_THROWS(replay(stages, {{{0, 1}}, {{0, 1}}}, {}));
}
