// SPDX-License-Identifier: Apache-2.0
// What the ranks of a whole step send in each group, counted by their flight recorders, is the sum
// of what the headers of the layers and of the executor state.
#include <map>
#include <string>

#include "tests/parallelism/counted_calls.hpp"
#include "tests/support/catch.hpp"
#include "tests/support/training.hpp"

using namespace lockstep;

namespace {

struct Layout {
  int data, tensor, pipeline;
  bool sequence_parallel;
  const char* schedule;
  int chunks;
  std::int64_t micro_batches;

  int ranks() const { return data * tensor * pipeline; }
};

constexpr std::int64_t kLayers = 4;

JobConfig job_of(const Layout& l) {
  JobConfig job = test::small_job();
  job.model.layers = kLayers;
  job.model.hidden = 32;  // whole lines: no padding
  job.model.heads = 4;
  job.model.sequence = 10;
  job.model.tied = false;
  job.batch.global = 2 * l.micro_batches * l.data;
  job.batch.micro = 2;
  job.parallel.data = l.data;
  job.parallel.tensor = l.tensor;
  job.parallel.pipeline = l.pipeline;
  job.parallel.chunks = l.chunks;
  job.parallel.schedule = l.schedule;
  job.parallel.sequence_parallel = l.sequence_parallel;
  return job;
}

// Elements that each group of a kind sends in a step, by the name of the kind.
using Volumes = std::map<std::string, std::int64_t>;

// A step takes more calls than a seat remembers: they are counted as micro-batches are asked for.
Volumes counted_step(const JobConfig& job, const Communicator& world, Device& device,
                     test::CountedCalls& calls) {
  const Mesh mesh(world, {job.parallel.data, job.parallel.tensor, job.parallel.pipeline});
  TrainingStep step(plan_model(job.model), mesh, device, job);
  const BatchReader reader = test::made_up_batches(job, mesh);
  const std::map<std::string, int> sizes = {{"tensor", mesh.tensor().size()},
                                            {"pipeline", mesh.pipeline().size()}};
  Volumes volumes;
  const auto count = [&] {
    for (const CallRecord& call : calls.take()) {
      const auto group = sizes.find(call.group_name.data());
      if (group != sizes.end()) volumes[group->first] += test::sent(call, group->second);
    }
  };
  calls.take();
  std::int64_t micro = 0;
  step.run(
      [&] {
        count();
        return reader.read(0, micro++);
      },
      job.optimizer.learning_rate, false);
  count();
  return volumes;
}

// Of one micro-batch through these blocks of GPT in a tensor group; `ends`: what is before the
// first, behind the last.
std::int64_t stated_tensor(const JobConfig& job, std::int64_t blocks, bool first, bool last) {
  const std::int64_t M = job.batch.micro * job.model.sequence, C = job.model.hidden;
  // Attention and feed-forward each: ColumnLinear and RowLinear. Embedding; head.
  const std::int64_t layers = 2 * blocks;
  std::int64_t gathered = 0, reduced = 0;
  if (job.parallel.sequence_parallel) {
    gathered = 3 * layers + (first ? 1 : 0) + (last ? 2 : 0);
    reduced = 2 * layers + (first ? 1 : 0) + (last ? 1 : 0);
  } else {
    reduced = 2 * (2 * layers + (first ? 1 : 0) + (last ? 1 : 0));
  }
  const std::int64_t loss = last ? 2 * 3 * M : 0;
  return (job.parallel.tensor - 1) * ((gathered + reduced) * M * C + loss);
}

// Gradients of what is on all tensor ranks and saw some of the rows: two norms of gain and bias in
// a block, one behind the last.
std::int64_t stated_norms(const JobConfig& job, std::int64_t blocks, bool last) {
  if (!job.parallel.sequence_parallel) return 0;
  return 2 * (job.parallel.tensor - 1) * (4 * blocks + (last ? 2 : 0)) * job.model.hidden;
}

}  // namespace

TEST_CASE("a step sends what its layers state, in every group") {
  for (const Layout& l :
       {Layout{1, 1, 1, false, "1f1b", 1, 4}, Layout{1, 2, 1, false, "1f1b", 1, 4},
        Layout{1, 2, 1, true, "1f1b", 1, 4}, Layout{1, 1, 2, false, "gpipe", 1, 4},
        Layout{1, 1, 2, false, "interleaved", 2, 4}, Layout{1, 1, 4, false, "zb-h1", 1, 4},
        Layout{1, 2, 2, false, "1f1b", 1, 4}, Layout{1, 2, 2, true, "1f1b", 1, 2},
        Layout{2, 2, 2, false, "interleaved", 2, 2}}) {
    const JobConfig job = job_of(l);
    std::vector<Volumes> volumes(static_cast<std::size_t>(l.ranks()));
    test::on_counted_ranks(
        l.ranks(), [&](const Communicator& world, Device& device, test::CountedCalls& calls) {
          volumes[static_cast<std::size_t>(world.rank())] = counted_step(job, world, device, calls);
        });
    INFO("data " << l.data << ", tensor " << l.tensor << ", pipeline " << l.pipeline << ", "
                 << l.schedule << ", sequence parallel " << l.sequence_parallel);
    Volumes all;  // each tensor group once, each rank's own messages
    for (std::size_t r = 0; r < volumes.size(); ++r) {
      const MeshPlace place = place_of(static_cast<int>(r), {l.data, l.tensor, l.pipeline});
      if (place.tensor == 0) all["tensor"] += volumes[r]["tensor"];
      all["pipeline"] += volumes[r]["pipeline"];
    }
    const std::int64_t rows = job.batch.micro * job.model.sequence;
    const std::int64_t boundaries = l.pipeline * l.chunks - 1;
    const std::int64_t ranks_of_stage = l.sequence_parallel ? 1 : l.tensor;
    CHECK(all["tensor"] == l.data * (l.micro_batches * stated_tensor(job, kLayers, true, true) +
                                     stated_norms(job, kLayers, true)));
    CHECK(all["pipeline"] ==
          l.data * l.micro_batches * 2 * boundaries * ranks_of_stage * rows * job.model.hidden);
  }
}
