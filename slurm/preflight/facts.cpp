// SPDX-License-Identifier: Apache-2.0
#include "slurm/preflight/facts.hpp"

#include <cstdlib>
#include <sstream>

#include <nlohmann/json.hpp>
#include <sched.h>

#include "runtime/base/process.hpp"
#include "runtime/context/mpi.hpp"
#include "runtime/context/topology.hpp"
#include "runtime/data/corpus.hpp"
#include "runtime/device/cuda_info.hpp"
#include "runtime/device/gpu_choice.hpp"
#include "slurm/preflight/clocks.hpp"
#include "slurm/preflight/shared_directory.hpp"

namespace lockstep::slurm {

using Json = nlohmann::json;

namespace {

int allowed_threads() {
  cpu_set_t set;
  CPU_ZERO(&set);
  return sched_getaffinity(0, sizeof set, &set) == 0 ? CPU_COUNT(&set) : 0;
}

// CUDA knows them best; where it can use none, what Slurm says by a variable.
void find_gpus(RankFacts& facts) {
  for (const Gpu& gpu : cuda_gpus())
    facts.gpus.push_back(gpu.id);
  if (!facts.gpus.empty()) return;
  const CudaInfo cuda = cuda_info();
  facts.cuda_note = cuda.built_in ? cuda.note : "this build of lockstep is without CUDA";
  const char* list = std::getenv("CUDA_VISIBLE_DEVICES");
  std::istringstream names(list ? list : "");
  for (std::string name; std::getline(names, name, ',');)
    facts.gpus.push_back(name);
}

void read_data(RankFacts& facts, const JobConfig& job) {
  try {
    facts.data_tokens = open_corpus(job.data, job.model.vocabulary).train.size();
  } catch (const std::exception& error) {
    facts.data_error = error.what();
  }
}

}  // namespace

std::string RankFacts::gpu() const {
  const int chosen = gpu_of({.local_rank = local_rank, .gpus = gpus});
  return chosen < 0 ? "" : gpus[static_cast<std::size_t>(chosen)];
}

std::string to_json(const RankFacts& f) {
  return Json{{"rank", f.rank},
              {"node", f.node},
              {"local_rank", f.local_rank},
              {"host", f.host},
              {"cores", f.cores},
              {"threads", f.threads},
              {"gpus", f.gpus},
              {"cuda_note", f.cuda_note},
              {"software", f.software},
              {"processor", f.processor},
              {"clock_offset", f.clock_offset},
              {"data_tokens", f.data_tokens},
              {"data_error", f.data_error},
              {"run_dir_error", f.run_dir_error}}
      .dump();
}

RankFacts facts_from_json(const std::string& text) {
  const Json j = Json::parse(text);
  RankFacts f;
  f.rank = j["rank"], f.node = j["node"], f.local_rank = j["local_rank"], f.host = j["host"];
  f.cores = j["cores"].get<std::vector<int>>(), f.threads = j["threads"];
  f.gpus = j["gpus"].get<std::vector<std::string>>(), f.cuda_note = j["cuda_note"];
  f.software = j["software"], f.processor = j["processor"], f.clock_offset = j["clock_offset"];
  f.data_tokens = j["data_tokens"], f.data_error = j["data_error"];
  f.run_dir_error = j["run_dir_error"];
  return f;
}

std::vector<RankFacts> collect_facts(const Context& context, const JobConfig& job,
                                     const std::string& run_dir, const std::string& software) {
  const Topology topology;
  RankFacts mine;
  mine.rank = context.rank(), mine.node = context.node(), mine.local_rank = context.local_rank();
  mine.host = host_name();
  mine.cores = topology.allowed_cores();
  mine.threads = allowed_threads();
  find_gpus(mine);
  mine.software = software + ", " + mpi_library();
  mine.processor = topology.hardware().processor;
  mine.clock_offset = clock_offset(context);
  if (mine.local_rank == 0) read_data(mine, job);
  mine.run_dir_error = try_directory(context, run_dir);

  std::vector<RankFacts> all;
  for (const std::string& text : context.gather(to_json(mine)))
    all.push_back(facts_from_json(text));
  return all;
}

}  // namespace lockstep::slurm
