// SPDX-License-Identifier: Apache-2.0
// A small job on a made-up corpus, trained for some steps on any communicator: what parity tests
// compare.
#pragma once

#include <memory>
#include <vector>

#include "models/registry.hpp"
#include "parallelism/hybrid/training_step.hpp"
#include "runtime/data/batch_loader.hpp"
#include "runtime/optim/schedule.hpp"
#include "runtime/tensor/transfer.hpp"
#include "tests/support/assemble.hpp"

namespace lockstep::test {

// A text with structure: each token is mostly its predecessor plus five.
class MadeUpText : public TokenSource {
 public:
  explicit MadeUpText(std::int64_t vocabulary) : vocabulary_(vocabulary) {}
  std::int64_t size() const override { return 20000; }
  std::int64_t vocabulary() const override { return vocabulary_; }
  void read(std::int64_t offset, std::span<std::int32_t> into) const override {
    for (std::size_t i = 0; i < into.size(); ++i) {
      const std::int64_t at = offset + static_cast<std::int64_t>(i);
      into[i] = static_cast<std::int32_t>((5 * at + at / 50) % vocabulary_);
    }
  }

 private:
  std::int64_t vocabulary_;
};

inline JobConfig small_job() {
  JobConfig job;
  job.job.seed = 7;
  job.model.layers = 2;
  job.model.hidden = 24;
  job.model.heads = 3;
  job.model.sequence = 17;
  job.model.vocabulary = 61;
  job.model.dropout = 0.1;
  job.batch.global = 12;  // 1, 2, 3 and 4 ranks
  job.optimizer.learning_rate = 3e-3;
  job.parallel.bucket_mb = 0.01;  // several buckets
  return job;
}

// Over the sequences of one step, the same in every layout.
inline Evaluation evaluate(TrainingStep& step, const JobConfig& job) {
  const auto text = std::make_shared<MadeUpText>(job.model.vocabulary);
  const BatchReader all({text, 0, text->size()}, {.global = job.batch.global,
                                                  .micro = step.split().micro,
                                                  .sequence = job.model.sequence,
                                                  .seed = job.job.seed});
  return step.evaluate([&](std::int64_t k) { return all.read(0, k); },
                       job.batch.global / step.split().micro);
}

// The batches of this data rank.
inline BatchReader made_up_batches(const JobConfig& job, const Mesh& mesh) {
  const auto text = std::make_shared<MadeUpText>(job.model.vocabulary);
  return BatchReader({text, 0, text->size()}, {.global = job.batch.global,
                                               .micro = job.batch.micro,
                                               .data_rank = mesh.data().rank(),
                                               .data_degree = mesh.data().size(),
                                               .sequence = job.model.sequence,
                                               .seed = job.job.seed});
}

struct Trained {
  std::vector<double> losses, grad_norms;
  std::vector<std::vector<float>> weights;  // one per parameter of this rank
  // Where a world is given: of the whole model, and an evaluation of the trained one.
  Weights before{}, after{};
  Evaluation evaluation{};
  int peak_stored = 0;

  bool operator==(const Trained&) const = default;
};

inline Trained train(const JobConfig& job, const Communicator& world, Device& device, int steps,
                     MPI_Comm comm = MPI_COMM_NULL) {
  const Mesh mesh(world, {job.parallel.data, job.parallel.tensor, job.parallel.pipeline});
  TrainingStep step(plan_model(job.model), mesh, device, job);
  const BatchReader reader = made_up_batches(job, mesh);
  Trained trained;
  if (comm != MPI_COMM_NULL) trained.before = assemble(step, mesh, job, comm);
  for (int s = 0; s < steps; ++s) {
    std::int64_t micro = 0;
    const StepResult r =
        step.run([&] { return reader.read(s, micro++); }, job.optimizer.learning_rate, false);
    trained.losses.push_back(r.loss);
    trained.grad_norms.push_back(r.grad_norm);
  }
  trained.peak_stored = step.pipeline().peak_stored();
  if (comm != MPI_COMM_NULL) {
    trained.after = assemble(step, mesh, job, comm);
    trained.evaluation = evaluate(step, job);
  }
  if (step.data().shards()) return trained;  // nobody has whole parameters
  for (const Parameter* p : step.parameters())
    trained.weights.push_back(read_floats(p->value));
  return trained;
}

}  // namespace lockstep::test
