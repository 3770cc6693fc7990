// SPDX-License-Identifier: Apache-2.0
#include "launch/device_of_job.hpp"

#include <algorithm>

#include <nlohmann/json.hpp>

#include "models/numerics.hpp"
#include "runtime/base/format.hpp"
#include "runtime/device/cuda_device.hpp"
#include "runtime/device/gpu_choice.hpp"
#include "runtime/kernels/attention_cudnn.hpp"
#include "runtime/logging/logging.hpp"

namespace lockstep {

namespace {

std::vector<RankOnNode> all_ranks(const Context& context, const std::vector<Gpu>& gpus) {
  nlohmann::json mine = {context.local_rank(), nlohmann::json::array()};
  for (const Gpu& gpu : gpus)
    mine[1].push_back(gpu.id);
  nlohmann::json all = nlohmann::json::array();
  for (const std::string& text : context.gather(mine.dump()))
    all.push_back(nlohmann::json::parse(text));
  std::vector<RankOnNode> ranks;
  for (const auto& r : nlohmann::json::parse(context.broadcast(all.dump())))
    ranks.push_back({r[0], r[1].get<std::vector<std::string>>()});
  return ranks;
}

bool all_have(const std::vector<RankOnNode>& ranks) {
  return std::all_of(ranks.begin(), ranks.end(), [](const auto& r) { return !r.gpus.empty(); });
}

std::string too_few(const std::vector<RankOnNode>& ranks, const JobConfig& job) {
  const int most = most_ranks_on_a_gpu(ranks);
  if (most <= job.job.ranks_per_gpu) return "";
  return format(
      "%d ranks of a node would share one GPU; start as many ranks as there are GPUs, or "
      "allow it: job.ranks_per_gpu = %d",
      most, most);
}

bool takes_gpus(const std::vector<RankOnNode>& ranks, const JobConfig& job, bool first) {
  if (job.job.device == "cuda") return true;
  if (job.job.device != "auto" || !all_have(ranks)) return false;
  const std::string why = too_few(ranks, job);
  if (first && !why.empty()) log_warning("job.device = \"auto\" computes on CPUs: " + why);
  return why.empty();
}

void expect_no_cuda_keys(const JobConfig& job) {
  if (job.job.precision == "float32") return;
  const CudaInfo info = cuda_info();
  throw ConfigError("job.precision = \"" + job.job.precision + "\" needs a GPU, and " +
                    (job.job.device == "cpu" ? std::string("job.device is \"cpu\"")
                     : info.devices          ? "CPUs were chosen"
                                             : info.note) +
                    "; use float32");
}

void expect_cuda_keys(const JobConfig& job, const Gpu& gpu) {
  if (job.job.precision == "bfloat16" && !has_bfloat16(gpu)) {
    throw ConfigError(
        format("job.precision = \"bfloat16\": %s has compute capability %d.%d, and "
               "bfloat16 needs 8.0; use float32",
               gpu.name.c_str(), gpu.major, gpu.minor));
  }
}

DeviceOfJob on_gpu(const Context& context, const JobConfig& job,
                   const std::vector<RankOnNode>& ranks, const std::vector<Gpu>& gpus,
                   CommunicationDriver driver) {
  const int index = gpu_of(ranks[static_cast<std::size_t>(context.rank())]);
  if (index < 0) throw ConfigError("job.device = \"cuda\": " + cuda_info().note);
  const Gpu& gpu = gpus[static_cast<std::size_t>(index)];
  expect_cuda_keys(job, gpu);
  if (const std::string why = too_few(ranks, job); !why.empty())
    throw ConfigError("job.device = \"cuda\": " + why);
  DeviceOfJob made{make_cuda_device(index, driver), gpu, gpu.name + " at " + gpu.address};
  made.device->compute_in(numerics_of(job));
  if (made.device->numerics().attention != AttentionBy::own)
    made.description += "; attention: " + kernels::cuda::fused_attention_library();
  made.sharing = most_ranks_on_a_gpu(ranks);
  if (made.sharing > 1) made.description += format(", shared by %d ranks", made.sharing);
  return made;
}

}  // namespace

bool has_bfloat16(const Gpu& gpu) {
  return gpu.major >= 8;  // Ampere
}

DeviceOfJob make_device(const Context& context, const JobConfig& job) {
  const auto driver =
      context.threads_allowed() ? CommunicationDriver::worker_thread : CommunicationDriver::caller;
  DeviceOfJob made;
  std::vector<Gpu> gpus;
  const bool may_take = job.job.device == "cuda" || job.job.device == "auto";
  context.together([&] {
    if (may_take) gpus = cuda_gpus();
  });
  const auto ranks = all_ranks(context, gpus);
  context.together([&] {
    if (takes_gpus(ranks, job, context.first())) {
      made = on_gpu(context, job, ranks, gpus, driver);
    } else {
      expect_no_cuda_keys(job);
      made = {.device = make_cpu_device(driver)};
    }
  });
  return made;
}

}  // namespace lockstep
