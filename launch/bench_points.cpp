// SPDX-License-Identifier: Apache-2.0
#include "launch/bench_points.hpp"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <sstream>

#include "launch/bench_problem.hpp"
#include "launch/collective_options.hpp"
#include "runtime/base/clock.hpp"
#include "runtime/context/mpi.hpp"

namespace lockstep {

namespace {

constexpr double kPatienceSeconds = 120;  // of one operation
constexpr int kBatch = 16, kWarmUps = 3;
constexpr double kShortSeconds = 2e-6;  // below it the clock's own 30 ns count
constexpr int kLeastRepetitions = 5, kMostRepetitions = 2000;
constexpr std::size_t kBuffered = 1 << 20;  // of all buffers, which take turns

Deadline deadline() {
  return {now() + kPatienceSeconds};
}

std::size_t num_buffers(std::size_t bytes) {
  return std::clamp<std::size_t>(kBuffered / std::max<std::size_t>(bytes, 1), 2, kBatch);
}

// The value below which a share of the sorted values lies.
double quantile(const std::vector<double>& sorted, double share) {
  const double place = std::ceil(share * static_cast<double>(sorted.size())) - 1;
  return sorted[static_cast<std::size_t>(std::max(place, 0.0))];
}

// Element by element over all ranks, on each.
void take_greatest(std::vector<double>& values, MPI_Comm comm) {
  check_mpi(MPI_Allreduce(MPI_IN_PLACE, values.data(), static_cast<int>(values.size()), MPI_DOUBLE,
                          MPI_MAX, comm));
}

bool contains(const std::vector<std::string>& names, const std::string& name) {
  return std::find(names.begin(), names.end(), name) != names.end();
}

}  // namespace

Bench::Bench(const Context& context, Device& device, Backend& world, Backend& group,
             const BenchOptions& options)
    : context_(context),
      device_(device),
      world_(world),
      group_(group),
      options_(options),
      barrier_(world.choose(barrier_call())) {
  if (world.shape().nodes > 1) common_start_.emplace(context.world());
}

bool Bench::has_shared_memory() {
  constexpr std::size_t kSome = 4096;
  const auto memory = group_.allocate(device_, kSome);
  const bool owns = group_.owns({static_cast<std::byte*>(memory.get()), kSome, DType::uint8});
  return greatest(owns ? 0 : 1) == 0;
}

std::vector<BenchRow> Bench::point(std::size_t bytes, MemoryKind memory) {
  const Sample sample{.what = options_.what,
                      .count = bytes / size_of(options_.dtype),
                      .dtype = options_.dtype,
                      .op = options_.op,
                      .ranks = group_.size(),
                      .rank = group_.rank(),
                      .memory = memory};
  make_buffers(sample);
  const std::vector<Candidate> candidates = candidates_of(buffers_.front().call);
  for (const Candidate& candidate : candidates)
    check(candidate, sample);

  std::vector<Timing> first(candidates.size()), timings(candidates.size());
  const double begin = now();
  for (int i = 0; i < kWarmUps; ++i) {
    for (std::size_t c = 0; c < candidates.size(); ++c)
      repeat(candidates[c], 1, first[c]);
  }
  const double round_seconds = greatest((now() - begin) / kWarmUps);
  std::vector<int> batches;
  for (Timing& timing : first) {
    take_greatest(timing.seconds, context_.world());
    const double least = *std::min_element(timing.seconds.begin(), timing.seconds.end());
    const bool is_short = least < kShortSeconds && buffers_.size() == kBatch;
    batches.push_back(is_short ? kBatch : 1);
  }

  const double fitting =
      options_.point_seconds * static_cast<double>(candidates.size()) / round_seconds;
  const int repetitions =
      options_.repetitions > 0
          ? options_.repetitions
          : static_cast<int>(std::clamp<double>(fitting, kLeastRepetitions, kMostRepetitions));
  for (int i = 0; i < repetitions; ++i) {
    for (std::size_t k = 0; k < candidates.size(); ++k) {  // each is first once in a while
      const std::size_t c = (k + static_cast<std::size_t>(i)) % candidates.size();
      repeat(candidates[c], batches[c], timings[c]);
    }
  }
  std::vector<BenchRow> rows;
  for (std::size_t c = 0; c < candidates.size(); ++c)
    rows.push_back(row_of(candidates[c], sample, timings[c]));
  buffers_.clear();
  return rows;
}

// As the first rank has them: prices, and so the order, may differ between groups.
std::vector<std::string> Bench::labels_of(const Call& call) const {
  std::string labels;
  for (const Choice& choice : group_.candidates(call))
    labels += std::string(choice.label) + " ";
  if (labels.find("mpi ") == std::string::npos) labels += "mpi ";
  std::istringstream words(context_.broadcast(labels));
  std::vector<std::string> all;
  for (std::string label; words >> label;)
    all.push_back(label);
  return all;
}

std::vector<Bench::Candidate> Bench::candidates_of(const Call& call) {
  const std::vector<Choice> priced = group_.candidates(call);
  std::vector<Candidate> candidates;
  for (const std::string& label : labels_of(call)) {
    const std::string backend = backend_of(label), algorithm = algorithm_of(label);
    const bool asked = options_.algorithms.empty() || algorithm.empty() ||
                       contains(options_.algorithms, algorithm);
    if (!contains(options_.backends, backend) || !asked) continue;
    const auto it = std::find_if(priced.begin(), priced.end(),
                                 [&](const Choice& choice) { return choice.label == label; });
    if (it == priced.end() && label != "mpi") {
      throw SystemError(label + " serves some groups and not others: choose by --algorithm");
    }
    candidates.push_back({backend, it == priced.end() ? Choice{.label = "mpi"} : *it});
  }
  if (contains(options_.backends, "auto")) candidates.push_back({"auto", group_.choose(call)});
  if (candidates.empty()) {
    throw ConfigError(std::string("no candidate serves ") + name_of(call.what) + " of " +
                      std::to_string(call.bytes()) + " bytes with this --backend, --algorithm");
  }
  return candidates;
}

std::shared_ptr<void> Bench::memory_of(const Sample& sample) {
  const std::size_t bytes = std::max<std::size_t>(sample.count * size_of(sample.dtype), 1);
  return sample.memory == MemoryKind::shared ? group_.allocate(device_, bytes)
                                             : device_.allocate(bytes);
}

void Bench::make_buffers(const Sample& sample) {
  const bool in_place = options_.place == BenchPlace::in_place && sample.can_be_in_place();
  input_ = bench_input(sample);
  next_ = 0;
  buffers_.clear();
  for (std::size_t i = 0; i < num_buffers(sample.count * size_of(sample.dtype)); ++i) {
    Buffer buffer{memory_of(sample), nullptr, {}};
    if (!in_place) buffer.out = memory_of(sample);
    auto* in = static_cast<std::byte*>(buffer.in.get());
    buffer.call = in_place ? sample.in_place(in)
                           : sample.apart(static_cast<std::byte*>(buffer.out.get()), in);
    buffers_.push_back(std::move(buffer));
  }
}

double Bench::greatest(double value) const {
  std::vector<double> one{value};
  take_greatest(one, context_.world());
  return one.front();
}

// Our own barrier, which yields where ranks outnumber cores: next to one that spins, the library's
// figures would be several times higher. Returns the time from which to count.
double Bench::meet() {
  world_.run(barrier_call(), barrier_, deadline());
  return common_start_ ? common_start_->wait() : now();
}

void Bench::check(const Candidate& candidate, const Sample& sample) {
  const Call& call = buffers_.front().call;
  if (call.out.bytes() > 0) std::memset(call.out.data, 0xee, call.out.bytes());
  if (!input_.empty()) std::memcpy(call.in.data, input_.data(), input_.size());
  group_.run(call, candidate.choice, deadline());
  const std::string mistake = bench_mistake(sample, call.out);
  context_.together([&] {
    if (mistake.empty()) return;
    throw SystemError(std::string(candidate.choice.label) + ": wrong result of " +
                      name_of(sample.what) + " of " + std::to_string(call.bytes()) +
                      " bytes: " + mistake);
  });
}

void Bench::repeat(const Candidate& candidate, int batch, Timing& timing) {
  const std::size_t begin = next_, n = buffers_.size();
  const double rewriting = now();
  for (int i = 0; i < batch && !input_.empty(); ++i) {
    const Buffer& buffer = buffers_[(begin + static_cast<std::size_t>(i)) % n];
    std::memcpy(buffer.call.in.data, input_.data(), input_.size());
  }
  timing.rewriting.push_back((now() - rewriting) / batch);
  next_ = (begin + static_cast<std::size_t>(batch)) % n;
  const Deadline until = deadline();
  const double start = meet();
  for (int i = 0; i < batch; ++i) {
    group_.run(buffers_[(begin + static_cast<std::size_t>(i)) % n].call, candidate.choice, until);
  }
  timing.seconds.push_back((now() - start) / batch);
}

BenchRow Bench::row_of(const Candidate& candidate, const Sample& sample, Timing& timing) const {
  take_greatest(timing.seconds, context_.world());
  take_greatest(timing.rewriting, context_.world());
  std::sort(timing.seconds.begin(), timing.seconds.end());
  std::sort(timing.rewriting.begin(), timing.rewriting.end());
  const std::vector<double>& t = timing.seconds;
  BenchRow row{.backend = candidate.backend,
               .algorithm = algorithm_of(candidate.choice.label),
               .label = candidate.choice.label,
               .memory = sample.memory,
               .bytes = buffers_.front().call.bytes(),
               .median = quantile(t, 0.5),
               .p99 = quantile(t, 0.99),
               .spread = quantile(t, 0.75) - quantile(t, 0.25),
               .predicted = options_.predict
                                ? options_.predict(buffers_.front().call, candidate.choice.label)
                                : candidate.choice.seconds,
               .repetitions = static_cast<int>(t.size())};
  // Rewriting the input moved 2S (S read, S written) per rank, on all ranks at once; no all-reduce
  // on a node moves less than 3S.
  const bool bounded =
      sample.what == Collective::all_reduce && row.bytes >= 1 << 20 && group_.shape().nodes == 1;
  if (bounded) row.bound = 1.5 * quantile(timing.rewriting, 0.5);
  return row;
}

}  // namespace lockstep
