// SPDX-License-Identifier: Apache-2.0
// Every operation through Communicator on elements in a GPU's memory, by every backend and every
// algorithm of ours that can serve there: the problems of the conformance test. Built twice: for a
// real GPU (label gpu; ranks share it where they outnumber GPUs, and NCCL then serves nobody), and
// with the GPU and NCCL of tests/testbed/nccl.
#include <cstdio>
#include <set>

#include "collectives/backends/nccl/nccl.hpp"
#include "collectives/backends/table.hpp"
#include "runtime/device/cuda_device.hpp"
#include "runtime/device/cuda_info.hpp"
#include "tests/collectives/worlds.hpp"
#include "tests/support/catch.hpp"
#include "tests/support/mpi.hpp"

using namespace lockstep;
using namespace lockstep::test;

namespace {

constexpr std::size_t kHalf = 1 << 16;  // bytes of a buffer
constexpr std::size_t kSegments = 150'001, kLarge = 3'000'001;

bool no_gpu() {
  const CudaInfo info = cuda_info();
  if (info.devices == 0) std::printf("skipped: no GPU: %s\n", info.note.c_str());
  return info.devices == 0;
}

Device& gpu() {
  static const auto the_gpu = make_cuda_device(context().local_rank() % cuda_info().devices);
  return *the_gpu;
}

std::vector<CommunicatorOptions> services() {
  std::vector<CommunicatorOptions> all;
  gpu();
  const bool has_nccl = nccl::refusal(context().world()).empty() && context().size() > 1;
  for (const BackendEntry& backend : backends(DeviceKind::cuda)) {
    if (backend.name != std::string("nccl") || has_nccl)
      all.push_back({.backend = backend.name, .timeout_seconds = 30});
  }
  std::set<std::string> names;
  for (const Algorithm* algorithm : algorithms()) {
    const GroupShape messages_only{.ranks = context().size()};
    if (has_nccl && !algorithm->refusal(messages_only)) names.emplace(algorithm->name());
  }
  for (const std::string& name : names)
    all.push_back({.backend = "native", .algorithm = name, .timeout_seconds = 30});
  return all;
}

// Two buffers of a GPU, and the host's view of them.
class GpuArena {
 public:
  GpuArena(std::shared_ptr<void> memory, std::size_t half)
      : memory_(std::move(memory)), half_(half), host_(2 * half) {}

  std::string mistake(const Communicator& world, const Problem& problem) {
    Side side(problem, world.rank());
    REQUIRE(std::max(side.in_bytes(), side.out_bytes()) <= half_);
    const Call call = side.call(host_.data(), host_.data() + half_);
    auto* const begin = static_cast<std::byte*>(memory_.get());
    gpu().copy_in(begin, host_.data(), 2 * half_);
    test::submit(world, problem, over(call.out), over(call.in)).wait();
    gpu().copy_out(host_.data(), begin, 2 * half_);
    return side.mistake();
  }

 private:
  Tensor over(const Elements& e) const {
    const auto offset = e.count ? e.data - host_.data() : 0;
    return tensor_over(gpu(), memory_,
                       {static_cast<std::byte*>(memory_.get()) + offset, e.count, e.dtype});
  }

  std::shared_ptr<void> memory_;
  std::size_t half_;
  std::vector<std::byte> host_;
};

struct Served {
  CommunicatorOptions options;
  Communicator world;
  GpuArena plain, allocated;

  explicit Served(const CommunicatorOptions& o, std::size_t half = kHalf)
      : options(o),
        world(Communicator::world(context(), gpu(), o)),
        plain(gpu().allocate(2 * half), half),
        allocated(world.allocate(2 * half), half) {}

  void check(Problem problem) {
    if (!serves(world, options, problem)) return;
    for (const Place place : {Place::apart, Place::in_place}) {
      problem.place = place;
      GpuArena& arena = place == Place::apart ? plain : allocated;
      INFO(text_of(options) << ": " << problem.text());
      CHECK(arena.mistake(world, problem) == "");
    }
  }
};

Blocks even_blocks(Collective what, std::size_t count, int p) {
  return {what == Collective::all_to_all ? count * static_cast<std::size_t>(p) : count, p};
}

}  // namespace

TEST_CASE("operations on a GPU's memory: every type and reduction", "[gpu]") {
  if (no_gpu()) return;
  const int p = context().size();
  for (const CommunicatorOptions& options : services()) {
    Served served(options);
    for (const Collective what : kCollectives) {
      const Blocks blocks = even_blocks(what, static_cast<std::size_t>(p) + 1, p);
      for (const DType dtype : kDTypes) {
        for (const ReduceOp op : kReduceOps) {
          if (!reduces(what) && op != ReduceOp::sum) continue;
          const bool usual = dtype == DType::bfloat16 && op == ReduceOp::average;
          if (options.algorithm != "auto" && !usual) continue;  // they share the kernels
          served.check({.what = what,
                        .ranks = p,
                        .blocks = blocks,
                        .dtype = dtype,
                        .op = op,
                        .root = p - 1});
        }
      }
    }
  }
}

TEST_CASE("operations on a GPU's memory: every count and root, and uneven blocks", "[gpu]") {
  if (no_gpu()) return;
  const int p = context().size();
  const auto ranks = static_cast<std::size_t>(p);
  for (const CommunicatorOptions& options : services()) {
    Served served(options);
    for (const Collective what : kCollectives) {
      for (int root = 0; root < (has_root(what) ? p : 1); ++root) {
        for (const std::size_t count : {std::size_t{0}, std::size_t{1}, ranks, std::size_t{1000}})
          served.check(
              {.what = what, .ranks = p, .blocks = even_blocks(what, count, p), .root = root});
        const bool has_blocks = what == Collective::reduce_scatter ||
                                what == Collective::all_gather || what == Collective::gather ||
                                what == Collective::scatter;
        if (has_blocks)
          served.check({.what = what, .ranks = p, .blocks = uneven_blocks(p, 3), .root = root});
      }
    }
  }
}

// As with job.determinism = "fast": on elements where those of the job's calls are.
TEST_CASE("our algorithms measure the links of GPUs at their start", "[gpu]") {
  if (no_gpu()) return;
  const int p = context().size();
  const CommunicatorOptions fast{
      .backend = "native", .timeout_seconds = 30, .constants = Constants::measured};
  const Links links =
      find_backend("native", DeviceKind::cuda).make(context().world(), gpu(), fast)->links();
  double found[] = {links.inside.alpha, links.inside.beta, links.inside.gamma};
  double of_first[] = {found[0], found[1], found[2]};
  check_mpi(MPI_Bcast(of_first, 3, MPI_DOUBLE, 0, context().world()));
  for (int i = 0; i < 3; ++i) {
    CHECK(found[i] > 0);
    CHECK(found[i] == of_first[i]);
  }
  if (p > 1) CHECK(links.inside.source == std::string("measured"));
}

// Several pieces of what is staged, several segments of what is ours.
TEST_CASE("operations on a GPU's memory: of 12 MB", "[gpu]") {
  if (no_gpu()) return;
  const int p = context().size();
  const std::size_t even = kLarge / static_cast<std::size_t>(p) * static_cast<std::size_t>(p);
  for (const char* backend : {"auto", "mpi"}) {
    Served served({.backend = backend, .timeout_seconds = 60}, kLarge * sizeof(float));
    for (const Collective what : kCollectives) {
      const Problem problem{.what = what,
                            .ranks = p,
                            .blocks = Blocks(what == Collective::all_to_all ? even : kLarge, p),
                            .op = ReduceOp::average,
                            .root = p / 2};
      INFO(backend << ": " << problem.text());
      CHECK(served.plain.mistake(served.world, problem) == "");
    }
  }
}

// Of algorithms that cut what they send: a few segments.
TEST_CASE("operations on a GPU's memory: of segments", "[gpu]") {
  if (no_gpu()) return;
  const int p = context().size();
  for (const CommunicatorOptions& options : services()) {
    if (options.algorithm == "auto") continue;
    Served served(options, kSegments * sizeof(float));
    for (const Collective what : {Collective::all_reduce, Collective::broadcast}) {
      const Problem problem{
          .what = what, .ranks = p, .blocks = Blocks(kSegments, p), .root = p - 1};
      if (!serves(served.world, options, problem)) continue;
      INFO(text_of(options) << ": " << problem.text());
      CHECK(served.plain.mistake(served.world, problem) == "");
    }
  }
}

TEST_CASE("messages between GPUs, and groups of some ranks", "[gpu]") {
  if (no_gpu()) return;
  const int p = context().size();
  for (const CommunicatorOptions& options : services()) {
    if (options.algorithm != "auto") continue;
    INFO(text_of(options));
    const auto world = Communicator::world(context(), gpu(), options);
    const auto part = world.split("odd", [](int r) { return r % 2; });
    const auto lone = world.split("lone", [](int r) { return r; });
    for (const Communicator& group : {world, part, lone}) {
      GpuArena arena(gpu().allocate(2 * kHalf), kHalf);
      const Problem problem{.ranks = group.size(),
                            .blocks = Blocks(100, group.size()),
                            .dtype = DType::bfloat16,
                            .op = ReduceOp::average};
      CHECK(arena.mistake(group, problem) == "");
      if (group.size() == 1) continue;
      // Everyone to the next, at once.
      const int q = group.size(), me = group.rank();
      std::vector<std::int32_t> numbers(5000, me);
      Tensor out = Tensor::empty(gpu(), {5000}, DType::int32);
      Tensor in = Tensor::empty(gpu(), {5000}, DType::int32);
      gpu().copy_in(out.raw(), numbers.data(), out.bytes());
      group
          .transfer({{Transfer::Direction::send, out, (me + 1) % q},
                     {Transfer::Direction::receive, in, (me + q - 1) % q}})
          .wait();
      gpu().copy_out(numbers.data(), in.raw(), in.bytes());
      CHECK(numbers == std::vector<std::int32_t>(5000, (me + q - 1) % q));
    }
    CHECK(world.size() == p);
  }
}
