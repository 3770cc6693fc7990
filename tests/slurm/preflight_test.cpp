// SPDX-License-Identifier: Apache-2.0
// What a preflight makes of the facts: one fault at a time in a job of two nodes that is in order.
#include <functional>
#include <set>

#include "slurm/preflight/findings.hpp"
#include "tests/support/catch.hpp"

using namespace lockstep;
using namespace lockstep::slurm;

namespace {

JobConfig job() {
  return parse_job("", "job",
                   {"slurm.nodes=2", "slurm.ranks_per_node=2", "slurm.cpus_per_rank=4",
                    "slurm.gpus_per_rank=1"});
}

// Ranks bound to four cores each, all GPUs of the node in sight of both.
std::vector<RankFacts> in_order() {
  std::vector<RankFacts> facts;
  for (int rank = 0; rank < 4; ++rank) {
    RankFacts f;
    f.rank = rank, f.node = rank / 2, f.local_rank = rank % 2;
    f.host = "n" + std::to_string(f.node);
    for (int core = 0; core < 4; ++core)
      f.cores.push_back(4 * f.local_rank + core);
    f.threads = 4;
    f.gpus = {"0", "1"};
    f.software = "lockstep 1", f.processor = "fast", f.data_tokens = 100;
    facts.push_back(f);
  }
  return facts;
}

struct Fault {
  const char* what;
  const char* text;  // in the finding
  Grade grade;
  std::function<void(std::vector<RankFacts>&)> make;
};

// The finding that is not good; one with an empty name if all are.
Finding only_bad(const std::vector<Finding>& all) {
  Finding bad;
  for (const Finding& f : all) {
    if (f.grade == Grade::good) continue;
    CHECK(bad.what.empty());
    CHECK_FALSE(f.remedy.empty());
    bad = f;
  }
  return bad;
}

LinkRates rates_of(int n, double usual) {
  LinkRates links;
  links.of_nodes = true;
  links.rates.assign(n, std::vector<double>(n, usual));
  for (int i = 0; i < n; ++i)
    links.rates[i][i] = 0;
  return links;
}

}  // namespace

TEST_CASE("a job that is in order has nothing to say", "[unit]") {
  CHECK(only_bad(judge_facts(job(), in_order())).what.empty());
  auto unbound = in_order();  // all ranks of a node were given all of its cores
  for (RankFacts& f : unbound)
    f.cores = {0, 1, 2, 3, 4, 5, 6, 7}, f.threads = 8;
  CHECK(only_bad(judge_facts(job(), unbound)).what.empty());
  auto one_each = in_order();  // srun --gpus-per-task
  for (RankFacts& f : one_each)
    f.gpus = {std::to_string(f.local_rank)};
  CHECK(only_bad(judge_facts(job(), one_each)).what.empty());
}

TEST_CASE("every fault is found alone, with its place and a remedy", "[unit]") {
  const Fault faults[] = {
      {"nodes", "n1 has 1 ranks instead of 2", Grade::problem, [](auto& f) { f.pop_back(); }},
      {"nodes", "the ranks are on 1", Grade::problem, [](auto& f) { f.resize(2); }},
      {"cores", "a rank on n0 has 3 cores", Grade::problem,
       [](auto& f) {
         f[0].threads = 3, f[0].cores = {0, 1, 2};
       }},
      {"cores", "ranks on n1 were bound to the same cores", Grade::problem,
       [](auto& f) {
         f[3].cores = {3, 4, 5, 6};
       }},
      {"GPUs", "n1 shows 1 GPUs instead of 2; 2 ranks on n1 would take GPU 0", Grade::problem,
       [](auto& f) { f[2].gpus = f[3].gpus = {"0"}; }},
      {"CUDA", "n1: no driver", Grade::warning, [](auto& f) { f[2].cuda_note = "no driver"; }},
      {"data", "n1: data.path: no such file", Grade::problem,
       [](auto& f) { f[2].data_error = "data.path: no such file"; }},
      {"data", "n1 reads 99 training tokens", Grade::problem,
       [](auto& f) { f[2].data_tokens = 99; }},
      {"run directory", "n1: read-only", Grade::problem,
       [](auto& f) { f[2].run_dir_error = "read-only"; }},
      {"clocks", "n1 is 2.5 s ahead of n0", Grade::warning,
       [](auto& f) { f[2].clock_offset = f[3].clock_offset = 2.5; }},
      {"software", "n1 has lockstep 2, n0 lockstep 1", Grade::problem,
       [](auto& f) { f[3].software = "lockstep 2"; }},
      {"processors", "n1 has slow", Grade::warning, [](auto& f) { f[2].processor = "slow"; }},
  };
  for (const Fault& fault : faults) {
    auto facts = in_order();
    fault.make(facts);
    const Finding bad = only_bad(judge_facts(job(), facts));
    INFO(bad.text);
    CHECK(bad.what == fault.what);
    CHECK(bad.grade == fault.grade);
    CHECK(bad.text.find(fault.text) != std::string::npos);
  }
}

TEST_CASE("facts travel as text", "[unit]") {
  RankFacts f = in_order()[3];
  f.clock_offset = 0.1, f.data_error = "a \"b\"", f.run_dir_error = "c", f.cuda_note = "d";
  CHECK(to_json(facts_from_json(to_json(f))) == to_json(f));
}

TEST_CASE("in a tournament each pair meets once", "[unit]") {
  for (int n = 1; n <= 17; ++n) {
    INFO(n);
    const auto rounds = tournament(n);
    std::set<std::pair<int, int>> met;
    for (const auto& partner : rounds) {
      for (int i = 0; i < n; ++i) {
        if (partner[i] < 0) continue;
        CHECK(partner[partner[i]] == i);
        CHECK(partner[i] != i);
        if (i < partner[i]) CHECK(met.emplace(i, partner[i]).second);
      }
    }
    CHECK(static_cast<int>(met.size()) == n * (n - 1) / 2);
    CHECK(static_cast<int>(rounds.size()) == (n + n % 2) - 1);
  }
}

TEST_CASE("slow nodes and slow links are named", "[unit]") {
  const std::vector<std::string> names = {"a", "b", "c", "d", "e"};
  auto links = rates_of(5, 10e9);
  CHECK(only_bad(judge_links(links, names)).what.empty());

  links.rates[1][3] = 2e9;  // as one of both saw it
  CHECK(only_bad(judge_links(links, names)).text ==
        "between b and d only 2.00 GB/s, where 10.00 GB/s is usual");
  links = rates_of(5, 10e9);
  for (int i = 0; i < 5; ++i)
    if (i != 2) links.rates[2][i] = links.rates[i][2] = 1e9;
  CHECK(only_bad(judge_links(links, names)).text ==
        "c is slow: 1.00 GB/s to the others, where 10.00 GB/s is usual");

  auto two = rates_of(2, 1e9);  // nothing to compare with
  CHECK(only_bad(judge_links(two, names)).what.empty());
  CHECK(judge_links(rates_of(1, 0), names).empty());
}
