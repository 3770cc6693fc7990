// SPDX-License-Identifier: Apache-2.0
#include "perfmodels/calibrate/call_trial.hpp"

#include <algorithm>
#include <climits>
#include <cstring>

#include "runtime/base/clock.hpp"
#include "runtime/kernels/elementwise.hpp"

namespace lockstep {

namespace {

constexpr double kPatienceSeconds = 120;
constexpr double kShortSeconds = 2e-6;  // below it the clock's own 30 ns count
constexpr double kSlowSeconds = 1e-3;   // above it no cache counts: a few buffers will do
constexpr std::size_t kFewBuffers = 2;
constexpr int kBatch = 16;
constexpr std::size_t kBuffered = 1 << 20;

Deadline deadline() {
  return {now() + kPatienceSeconds};
}

bool is_gpu(const Device& device) {
  return device.kind() == DeviceKind::cuda;
}

// One after the other, as buckets of a step are: a mebibyte in all, two at least. Without a step,
// which a curve over the bytes would show.
std::size_t num_buffers(std::size_t bytes) {
  return std::clamp<std::size_t>(kBuffered / std::max<std::size_t>(bytes, 1), 2, kBatch);
}

}  // namespace

std::vector<Choice> candidates_for(const Backend& group, const Sample& sample) {
  const Call call =
      sample.can_be_in_place() ? sample.in_place(nullptr) : sample.apart(nullptr, nullptr);
  std::vector<Choice> all;
  for (const Choice& choice : group.candidates(call)) {
    if (choice.label != std::string_view("mpi")) all.push_back(choice);
  }
  std::sort(all.begin(), all.end(),
            [](const Choice& a, const Choice& b) { return std::string_view(a.label) < b.label; });
  if (call.count() <= INT_MAX) all.push_back({.label = "mpi"});
  return all;
}

void greatest(Backend& group, Device& device, std::span<double> values) {
  Elements all{reinterpret_cast<std::byte*>(values.data()), values.size(), DType::float64};
  std::shared_ptr<void> there;
  if (is_gpu(device)) {
    there = device.allocate(all.bytes());
    all.data = static_cast<std::byte*>(there.get());
    device.copy_in(all.data, values.data(), all.bytes());
    device.compute().synchronize();
  }
  const Call call = all_reduce_call(all, all, ReduceOp::max, group.size());
  group.run(call, group.choose(call), deadline());
  if (there) device.copy_out(values.data(), all.data, all.bytes());
}

CallTrial::CallTrial(Backend& group, Device& device, const Sample& sample,
                     std::vector<Choice> candidates)
    : group_(group),
      device_(device),
      sample_(sample),
      candidates_(std::move(candidates)),
      barrier_(group.choose(barrier_call())),
      input_(is_gpu(device) ? 0 : sample.in_count(), 1.0f) {
  std::size_t wanted = is_gpu(device) ? kFewBuffers : num_buffers(sample_.count * sizeof(float));
  add_buffer();
  const std::vector<double> first = time_each();
  const bool slow = *std::min_element(first.begin(), first.end()) > kSlowSeconds;
  if (slow) wanted = std::min(wanted, kFewBuffers);
  while (buffers_.size() < wanted)
    add_buffer();
  for (std::size_t i = 1; i < buffers_.size(); ++i)  // touched by all ranks
    timed(candidates_.front(), 1);
  batches_.assign(candidates_.size(), 1);
  if (!slow && buffers_.size() == kBatch) choose_batches();
}

void CallTrial::add_buffer() {
  const bool in_place = sample_.can_be_in_place();
  Buffer buffer{memory(), nullptr, {}};
  if (!in_place) buffer.out = memory();
  auto* in = static_cast<std::byte*>(buffer.in.get());
  buffer.call = in_place ? sample_.in_place(in)
                         : sample_.apart(static_cast<std::byte*>(buffer.out.get()), in);
  buffers_.push_back(std::move(buffer));
}

std::shared_ptr<void> CallTrial::memory_of_gpu() {
  const auto count = static_cast<std::int64_t>(std::max<std::size_t>(sample_.count, 1));
  auto memory = group_.allocate(device_, static_cast<std::size_t>(count) * sizeof(float));
  Tensor all = Tensor::over(device_, memory, {count});
  kernels::fill(all, 0, device_.compute());
  device_.compute().synchronize();
  return memory;
}

std::shared_ptr<void> CallTrial::memory() {
  if (is_gpu(device_)) return memory_of_gpu();
  const std::size_t bytes = std::max<std::size_t>(sample_.count * sizeof(float), 1);
  auto memory = sample_.memory == MemoryKind::shared ? group_.allocate(device_, bytes)
                                                     : fresh_->allocate(bytes);
  std::memset(memory.get(), 0, bytes);
  return memory;
}

double CallTrial::timed(const Choice& choice, int batch) {
  const std::size_t begin = next_, n = buffers_.size();
  for (int i = 0; i < batch && !input_.empty(); ++i) {
    const Buffer& buffer = buffers_[(begin + static_cast<std::size_t>(i)) % n];
    std::memcpy(buffer.call.in.data, input_.data(), input_.size() * sizeof(float));
  }
  next_ = (begin + static_cast<std::size_t>(batch)) % n;
  group_.run(barrier_call(), barrier_, deadline());
  const Deadline until = deadline();
  const double start = now();
  for (int i = 0; i < batch; ++i)
    group_.run(buffers_[(begin + static_cast<std::size_t>(i)) % n].call, choice, until);
  return (now() - start) / batch;
}

// Of the slowest rank, as an all-reduce of ours says: all must agree.
std::vector<double> CallTrial::time_each() {
  std::vector<double> seconds;
  for (const Choice& choice : candidates_)
    seconds.push_back(timed(choice, 1));
  greatest(group_, device_, seconds);
  return seconds;
}

void CallTrial::choose_batches() {
  const std::vector<double> once = time_each(), again = time_each();
  for (std::size_t c = 0; c < candidates_.size(); ++c) {
    if (std::min(once[c], again[c]) < kShortSeconds) batches_[c] = kBatch;
  }
}

void CallTrial::run(std::span<double> seconds) {
  const std::size_t n = candidates_.size();
  turn_ += n % 2 == 1 ? 2 : 1;  // by one, an odd number's would each keep to one buffer of two
  for (std::size_t k = 0; k < n; ++k) {  // each is first once in a while
    const std::size_t c = (k + turn_) % n;
    seconds[c] = timed(candidates_[c], batches_[c]);
  }
}

}  // namespace lockstep
