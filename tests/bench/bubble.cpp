// SPDX-License-Identifier: Apache-2.0
// The idle share of a pipeline whose stages take given times, measured on the real executor:
//
//   mpirun -np P bubble [MICRO_BATCHES] [MILLISECONDS]
//
// Each rank is a stage of one layer per chunk that sleeps: F, then B and W for backward, so more
// ranks than cores do not disturb each other. Printed beside it: what the papers say for equal
// times.
//   gpipe, 1f1b   (P-1)/(m+P-1)        interleaved   (P-1)/(v m+P-1)        zb-h1   less
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "parallelism/pipeline/executor.hpp"
#include "parallelism/pipeline/table.hpp"
#include "runtime/base/clock.hpp"
#include "runtime/context/context.hpp"

using namespace lockstep;

namespace {

void sleep_for(double seconds) {
  std::this_thread::sleep_for(std::chrono::duration<double>(seconds));
}

// y = x, and dX = dY: F, B and W take `seconds` each.
class Sleeper : public Module {
 public:
  Sleeper(double seconds, double& busy) : seconds_(seconds), busy_(busy) {}

  Tensor forward(const Tensor& x, Stash&) override {
    work();
    return x;
  }
  Tensor backward_input(Tensor dy, Stash& stash) override {
    work();
    stash.owe(*this);
    return dy;
  }
  void backward_weight(Stash&) override { work(); }
  void parameters(std::vector<Parameter*>&) override {}

 private:
  void work() {
    const double begin = now();
    sleep_for(seconds_);
    busy_ += now() - begin;
  }

  double seconds_;
  double& busy_;
};

struct Measured {
  double idle = 0;  // mean over the stages
  int stored = 0;   // most of any stage
};

double sum_over(const Context& context, double value) {
  check_mpi(MPI_Allreduce(MPI_IN_PLACE, &value, 1, MPI_DOUBLE, MPI_SUM, context.world()));
  return value;
}
double most_of(const Context& context, double value) {
  check_mpi(MPI_Allreduce(MPI_IN_PLACE, &value, 1, MPI_DOUBLE, MPI_MAX, context.world()));
  return value;
}

Measured measure(const Context& context, const Communicator& stages, Device& device,
                 const PipelineSchedule& schedule, double seconds) {
  double busy = 0;
  std::vector<std::unique_ptr<nn::Sequential>> layers;
  std::vector<PipelineChunk> chunks;
  for (int c = 0; c < schedule.shape.chunks; ++c) {
    std::vector<std::unique_ptr<Module>> one;
    one.push_back(std::make_unique<Sleeper>(seconds / schedule.shape.chunks, busy));
    layers.push_back(std::make_unique<nn::Sequential>(std::move(one)));
    chunks.push_back({layers.back().get(), 1, 1});
  }
  PipelineExecutor executor(std::move(chunks), stages, device);
  const PipelineEnds ends{
      .batch = [](int) { return MicroBatch{.samples = 1, .tokens = 1, .first_row = 0, .rows = 1}; },
      .tokens =
          [&](int) {
            return Tensor::empty(device, {1, 1});
          },
      .loss = [](int, Tensor y) { return y; },
      .ready = [](Parameter&) {}};
  context.barrier();
  const double begin = now();
  executor.run(schedule.stages[static_cast<std::size_t>(stages.rank())], schedule.shape, ends);
  context.barrier();
  const double makespan = most_of(context, now() - begin);
  return {1 - sum_over(context, busy) / stages.size() / makespan,
          static_cast<int>(most_of(context, executor.peak_stored()))};
}

double by_formula(const PipelineShape& s) {
  return (s.stages - 1.0) / (s.chunks * s.micro_batches + s.stages - 1.0);
}

}  // namespace

int main(int argc, char** argv) {
  const Context context;
  const int micro_batches = argc > 1 ? std::atoi(argv[1]) : 2 * context.size();
  const double seconds = 1e-3 * (argc > 2 ? std::atof(argv[2]) : 20);
  const auto device = make_cpu_device();
  const auto stages = Communicator::world(context, *device);
  for (const ScheduleKind* kind : schedule_kinds()) {
    PipelineShape shape{context.size(), micro_batches, 1};
    if (!kind->refusal(shape).empty()) shape.chunks = 2;
    if (const std::string why = kind->refusal(shape); !why.empty()) {
      if (context.first()) std::printf("%-12s left out: %s\n", kind->name, why.c_str());
      continue;
    }
    const Measured m = measure(context, stages, *device,
                               with_executed_messages(make_schedule(*kind, shape)), seconds);
    if (!context.first()) continue;
    std::printf(
        "%-12s %d stages, %d micro-batches, %d chunks: idle %5.1f %%, formula %5.1f %%, stored "
        "%d\n",
        kind->name, shape.stages, shape.micro_batches, shape.chunks, 100 * m.idle,
        100 * by_formula(shape), m.stored);
  }
  return 0;
}
