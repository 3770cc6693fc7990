// SPDX-License-Identifier: Apache-2.0
// Any layout into any layout: saved in each of eight, loaded in each of the eight. Weights and
// moments are the same bits after the load, and training goes on with the losses of the run that
// was never disturbed.
#include <cmath>
#include <optional>

#include "parallelism/hybrid/held_state.hpp"
#include "runtime/checkpoint/reader.hpp"
#include "runtime/checkpoint/writer.hpp"
#include "tests/support/catch.hpp"
#include "tests/support/mpi.hpp"
#include "tests/support/temp_dir.hpp"
#include "tests/support/training.hpp"

using namespace lockstep;

namespace {

constexpr int kBefore = 3, kAfter = 3;  // steps
constexpr double kTolerance = 1e-4;

struct Layout {
  const char* name;
  int data = 1, tensor = 1, pipeline = 1, zero = 0;
  int ranks() const { return data * tensor * pipeline; }
};

constexpr Layout kLayouts[] = {
    {"one rank"},
    {"data 2", 2},
    {"tensor 2", 1, 2},
    {"pipeline 2", 1, 1, 2},
    {"ZeRO-1", 2, 1, 1, 1},
    {"ZeRO-3", 2, 1, 1, 3},
    {"data 2, tensor 2", 2, 2},
    {"data 2, tensor 2, pipeline 2, ZeRO-1", 2, 2, 2, 1},
};

JobConfig job_in(const Layout& l) {
  JobConfig job = test::small_job();
  job.model.hidden = 16;
  job.model.heads = 4;
  job.model.sequence = 12;
  job.batch.global = 8;
  job.batch.micro = 2;
  job.parallel.data = l.data;
  job.parallel.tensor = l.tensor;
  job.parallel.pipeline = l.pipeline;
  job.parallel.zero = l.zero;
  return job;
}

// The first ranks of the job as a world of their own; the others have none.
class FirstRanks {
 public:
  explicit FirstRanks(int ranks) {
    const int color = test::context().rank() < ranks ? 0 : MPI_UNDEFINED;
    MPI_Comm comm = MPI_COMM_NULL;
    check_mpi(MPI_Comm_split(test::context().world(), color, 0, &comm));
    comm_ = CommHandle(comm);
  }
  bool here() const { return comm_.get() != MPI_COMM_NULL; }
  MPI_Comm comm() const { return comm_.get(); }

 private:
  CommHandle comm_;
};

// A model in training on some ranks.
class Training {
 public:
  Training(const Layout& layout, MPI_Comm comm)
      : job_(job_in(layout)),
        comm_(comm),
        device_(make_cpu_device()),
        mesh_(Communicator::over(comm, *device_), {layout.data, layout.tensor, layout.pipeline}),
        step_(plan_model(job_.model), mesh_, *device_, job_),
        reader_(test::made_up_batches(job_, mesh_)) {}

  std::vector<double> run(int first, int count) {
    std::vector<double> losses;
    for (int s = first; s < first + count; ++s) {
      std::int64_t micro = 0;
      const auto next = [&] { return reader_.read(s, micro++); };
      losses.push_back(step_.run(next, job_.optimizer.learning_rate, false).loss);
    }
    return losses;
  }

  test::Weights weights() { return test::assemble(step_, mesh_, job_, comm_); }

  // Every state of the optimizer, "kind/name".
  test::Weights moments() {
    test::Weights all;
    const test::Weights blank = test::blank(job_);
    for (const OptimizerState& s : step_.optimizer().states()) {
      for (const auto& [name, values] : blank)
        all[s.kind + ("/" + name)] = values;
    }
    for (const HeldPiece& piece : written_state(step_, mesh_)) {
      for (std::size_t i = 1; i < piece.states.size(); ++i)
        place(all.at(piece.states[i].kind + "/" + piece.name), piece, piece.states[i].tensor);
    }
    for (auto& [name, values] : all) {
      check_mpi(MPI_Allreduce(MPI_IN_PLACE, values.data(), static_cast<int>(values.size()),
                              MPI_FLOAT, MPI_SUM, comm_));
    }
    return all;
  }

  void save(const std::string& dir, const Fence& fence, std::int64_t number) {
    const CheckpointFolder folder(dir);
    Manifest head;
    head.step = number;
    head.life = fence.life();
    head.optimizer_steps = step_.optimizer().steps();
    for (const auto& [name, values] : test::blank(job_))
      head.parameters[name] = {static_cast<std::int64_t>(values.size())};
    for (const auto* p : build_parameters())
      head.parameters[p->name] = dims_of(p->value.shape());
    int rank = 0, ranks = 1;
    check_mpi(MPI_Comm_rank(comm_, &rank));
    check_mpi(MPI_Comm_size(comm_, &ranks));
    if (rank == 0) folder.make_draft(number, head.life);
    check_mpi(MPI_Barrier(comm_));
    CheckpointWriter writer(folder, fence, {.rank = rank, .ranks = ranks, .keep = 100});
    writer.save(written_state(step_, mesh_), head);
    writer.wait();
    check_mpi(MPI_Barrier(comm_));
  }

  void load(const std::string& checkpoint) {
    const Manifest manifest = read_manifest(checkpoint);
    std::vector<HeldPiece> pieces = held_state(step_);
    CheckpointReader(checkpoint, manifest).read(pieces);
    step_.take_over(manifest.optimizer_steps);
  }

 private:
  static Dims dims_of(const Shape& shape) {
    Dims dims;
    for (int i = 0; i < shape.rank(); ++i)
      dims.push_back(shape[i]);
    return dims;
  }

  std::vector<Parameter*> build_parameters() {
    whole_ = make_model(job_.model, *device_, 1);
    return parameters_of(*whole_);
  }

  static void place(std::vector<float>& full, const HeldPiece& piece, const Tensor& values) {
    const std::int64_t columns = matrix_of(piece.dims).columns;
    const float* from = values.data();
    for (const Rectangle& r : piece.region) {
      for (std::int64_t row = r.row; row < r.row + r.rows; ++row, from += r.columns)
        std::copy(from, from + r.columns, full.data() + row * columns + r.column);
    }
  }

  JobConfig job_;
  MPI_Comm comm_;
  std::unique_ptr<Device> device_;
  std::unique_ptr<nn::Sequential> whole_;
  Mesh mesh_;
  TrainingStep step_;
  BatchReader reader_;
};

struct Saved {
  test::Weights weights, moments;
};

bool close(const std::vector<double>& a, const std::vector<double>& b) {
  for (std::size_t i = 0; i < a.size(); ++i) {
    if (std::abs(a[i] - b[i]) > kTolerance * std::abs(b[i])) return false;
  }
  return a.size() == b.size();
}

}  // namespace

TEST_CASE("what one layout saves, any other goes on with") {
  const Context& context = test::context();
  std::optional<test::TempDir> made;
  if (context.first()) made.emplace();
  const std::string dir = context.broadcast(made ? made->path() : "");
  std::string owner;
  if (context.first()) {
    CheckpointFolder(dir).clean();
    owner = Fence::take(dir, {}).owner();
  }
  const Fence fence(dir, context.broadcast(owner));

  std::vector<double> undisturbed;  // the losses behind the checkpoint
  std::vector<Saved> saved;
  for (const Layout& layout : kLayouts) {
    const FirstRanks part(layout.ranks());
    saved.emplace_back();
    if (!part.here()) continue;
    Training training(layout, part.comm());
    training.run(0, kBefore);
    training.save(dir, fence, static_cast<std::int64_t>(saved.size()));
    saved.back() = {training.weights(), training.moments()};
    if (saved.size() == 1) undisturbed = training.run(kBefore, kAfter);
  }
  context.barrier();

  int continued = 0;
  for (const Layout& to : kLayouts) {
    const FirstRanks part(to.ranks());
    for (std::size_t from = 0; from < saved.size() && part.here(); ++from) {
      INFO(kLayouts[from].name << " -> " << to.name);
      Training training(to, part.comm());
      training.load(CheckpointFolder(dir).place_of(static_cast<std::int64_t>(from) + 1));
      const test::Weights weights = training.weights(), moments = training.moments();
      const std::vector<double> losses = training.run(kBefore, kAfter);
      if (!context.first()) continue;  // it took part in every layout
      CHECK(weights == saved[from].weights);
      CHECK(moments == saved[from].moments);
      CHECK(close(losses, undisturbed));
      ++continued;
    }
  }
  if (context.first()) CHECK(continued == 64);
  context.barrier();
}
