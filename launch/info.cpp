// SPDX-License-Identifier: Apache-2.0
// `lockstep info`: what was built in, what this node has, and how the ranks of this job lie on it.
// Under mpirun it shows the binding that a training job started the same way would get.
#include <cstdio>
#include <memory>
#include <string>

#include <CLI/CLI.hpp>
#include <nlohmann/json.hpp>

#include "launch/build_facts.hpp"
#include "launch/command.hpp"
#include "launch/job.hpp"
#include "runtime/context/binding.hpp"
#include "runtime/context/mpi.hpp"
#include "runtime/device/cuda_info.hpp"

namespace lockstep {

namespace {

using Json = nlohmann::ordered_json;

Json describe_build() {
  const BuildFacts b = build_facts();
  return {{"version", b.version}, {"compiler", b.compiler}, {"build_type", b.build_type},
          {"march", b.march},     {"simd", b.simd},         {"gemm", b.gemm}};
}

Json describe_mpi(const Context& context) {
  return {{"library", mpi_library()},
          {"thread_level", context.threads_allowed() ? "multiple" : "less than multiple"}};
}

Json describe_node(const Hardware& h) {
  Json caches = Json::array();
  for (const Cache& c : h.caches) {
    caches.push_back({{"level", c.level}, {"bytes", c.bytes}, {"count", c.count}});
  }
  return {{"processor", h.processor},      {"packages", h.packages},     {"cores", h.cores},
          {"hardware_threads", h.threads}, {"numa_nodes", h.numa_nodes}, {"caches", caches},
          {"memory_bytes", h.memory_bytes}};
}

// Collective. Complete on rank 0.
Json describe_job(const Context& context, const Topology& topology) {
  const Binding binding = bind_to_cores(context, topology);
  const Json mine = {{"rank", context.rank()},
                     {"node", context.node()},
                     {"threads", set_threads(0, binding)},
                     {"binding", binding.description}};
  Json ranks = Json::array();
  for (const std::string& text : context.gather(mine.dump()))
    ranks.push_back(Json::parse(text));
  return {{"ranks", context.size()}, {"nodes", context.nodes()}, {"placement", ranks}};
}

Json describe_cuda() {
  const CudaInfo c = cuda_info();
  Json gpus = Json::array();
  for (const Gpu& g : cuda_gpus()) {
    gpus.push_back({{"name", g.name},
                    {"address", g.address},
                    {"capability", std::to_string(g.major) + "." + std::to_string(g.minor)},
                    {"memory_bytes", g.memory_bytes}});
  }
  return {{"built_in", c.built_in},
          {"runtime", c.runtime_version},
          {"driver", c.driver_version},
          {"devices", c.devices},
          {"note", c.note},
          {"gpus", gpus}};
}

std::string size_text(std::uint64_t bytes) {
  const bool large = bytes >= std::uint64_t{1} << 30, medium = bytes >= std::uint64_t{1} << 20;
  char text[32];
  std::snprintf(
      text, sizeof text, "%.4g %s",
      static_cast<double>(bytes) / static_cast<double>(std::uint64_t{1} << (large    ? 30
                                                                            : medium ? 20
                                                                                     : 10)),
      large    ? "GiB"
      : medium ? "MiB"
               : "KiB");
  return text;
}

std::string plural(const Json& count, const std::string& noun) {
  return count.dump() + " " + noun + (count == 1 ? "" : "s");
}

void print_fact(const char* name, const std::string& value) {
  std::printf("  %-13s%s\n", name, value.c_str());
}

std::string cuda_text(const Json& c) {
  if (!c["built_in"]) return "not in this build";
  const std::string runtime = "runtime " + c["runtime"].get<std::string>() + ", ";
  if (c["devices"] == 0) return runtime + "no GPU here (" + c["note"].get<std::string>() + ")";
  return runtime + "driver for " + c["driver"].get<std::string>() + ", " +
         plural(c["devices"], "GPU");
}

void print_build(const Json& build, const Json& mpi, const Json& cuda) {
  const std::string march = build["march"].get<std::string>();
  std::printf("lockstep %s\n", build["version"].get<std::string>().c_str());
  print_fact("compiler", build["compiler"].get<std::string>() + ", " +
                             build["build_type"].get<std::string>() +
                             ", -march=" + (march.empty() ? "default" : march));
  print_fact("vectors", build["simd"]);
  print_fact("GEMM", build["gemm"]);
  print_fact("MPI", mpi["library"].get<std::string>() + ", thread level " +
                        mpi["thread_level"].get<std::string>());
  print_fact("CUDA", cuda_text(cuda));
}

void print_gpus(const Json& gpus) {
  for (std::size_t i = 0; i < gpus.size(); ++i) {
    const Json& g = gpus[i];
    print_fact(("GPU " + std::to_string(i)).c_str(),
               g["name"].get<std::string>() + " at " + g["address"].get<std::string>() +
                   ", compute capability " + g["capability"].get<std::string>() + ", " +
                   size_text(g["memory_bytes"]));
  }
}

void print_node(const Json& node) {
  std::printf("\nthis node\n");
  print_fact("processor", node["processor"]);
  print_fact("cores", node["cores"].dump() + " in " + plural(node["packages"], "package") + ", " +
                          plural(node["hardware_threads"], "hardware thread"));
  for (const Json& c : node["caches"]) {
    const std::string name = "L" + c["level"].dump() + " cache";
    print_fact(name.c_str(), c["count"].dump() + " of " + size_text(c["bytes"]));
  }
  print_fact("memory",
             size_text(node["memory_bytes"]) + " in " + plural(node["numa_nodes"], "NUMA node"));
}

void print_job(const Json& job) {
  std::printf("\nthis job: %s on %s\n", plural(job["ranks"], "rank").c_str(),
              plural(job["nodes"], "node").c_str());
  for (const Json& r : job["placement"]) {
    print_fact(("rank " + r["rank"].dump()).c_str(), "node " + r["node"].dump() + ", " +
                                                         plural(r["threads"], "thread") + ", " +
                                                         r["binding"].get<std::string>());
  }
}

int show_info(const Context& context, bool as_json) {
  const Topology topology;
  const Json facts = {{"build", describe_build()},
                      {"mpi", describe_mpi(context)},
                      {"cuda", describe_cuda()},
                      {"node", describe_node(topology.hardware())},
                      {"job", describe_job(context, topology)}};
  if (!context.first()) return 0;
  if (as_json) {
    std::printf("%s\n", facts.dump(2).c_str());
  } else {
    print_build(facts["build"], facts["mpi"], facts["cuda"]);
    print_node(facts["node"]);
    print_gpus(facts["cuda"]["gpus"]);
    print_job(facts["job"]);
  }
  return 0;
}

}  // namespace

CommandAction prepare_info(CLI::App& app) {
  auto as_json = std::make_shared<bool>(false);
  app.add_flag("--json", *as_json, "Write JSON");
  return [as_json] {
    return run_job([&](const Context& context) { return show_info(context, *as_json); });
  };
}

}  // namespace lockstep
