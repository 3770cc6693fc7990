// SPDX-License-Identifier: Apache-2.0
#include <algorithm>

#include "runtime/base/format.hpp"
#include "slurm/preflight/findings.hpp"

namespace lockstep::slurm {

namespace {

// Rates of healthy links of one network differ by the switches between them, not twofold.
constexpr double kSlowShare = 0.5;

constexpr const char* kOneNode = "look for other work on its cores, and at how ranks are bound";

double median(std::vector<double> values) {
  const auto middle = values.begin() + static_cast<std::ptrdiff_t>(values.size() / 2);
  std::nth_element(values.begin(), middle, values.end());
  return *middle;
}

using Rates = std::vector<std::vector<double>>;

// A pair's rate is the lower of what both saw.
double rate(const Rates& rates, std::size_t i, std::size_t j) {
  return std::min(rates[i][j], rates[j][i]);
}

std::vector<double> links_of(const Rates& rates, std::size_t i) {
  std::vector<double> all;
  for (std::size_t j = 0; j < rates.size(); ++j) {
    if (j != i) all.push_back(rate(rates, i, j));
  }
  return all;
}

std::vector<double> all_links(const Rates& rates) {
  std::vector<double> all;
  for (std::size_t i = 0; i < rates.size(); ++i) {
    for (std::size_t j = 0; j < i; ++j)
      all.push_back(rate(rates, i, j));
  }
  return all;
}

std::string gb(double bytes_per_second) {
  return format("%.2f GB/s", bytes_per_second * 1e-9);
}

}  // namespace

std::vector<Finding> judge_links(const LinkRates& links, const std::vector<std::string>& names) {
  const Rates& rates = links.rates;
  const std::string what = links.of_nodes ? "network" : "memory";
  if (rates.size() < 2) return {};
  const double usual = median(all_links(rates));
  const std::string fine = gb(usual) + " each way between " + (links.of_nodes ? "nodes" : "ranks") +
                           (rates.size() == 2 ? "" : " (median of all pairs)");
  if (rates.size() == 2) return {{what, Grade::good, fine, ""}};

  std::vector<bool> slow(rates.size());
  std::vector<Finding> all;
  for (std::size_t i = 0; i < rates.size(); ++i) {
    const double mine = median(links_of(rates, i));
    slow[i] = mine < kSlowShare * usual;
    if (!slow[i]) continue;
    all.push_back(
        {what, Grade::warning,
         names[i] + " is slow: " + gb(mine) + " to the others, where " + gb(usual) + " is usual",
         links.of_nodes ? "leave it out (slurm.options = [\"--exclude=" + names[i] +
                              "\"]) and tell the administrators: another job, a cable or a port"
                        : kOneNode});
  }
  for (std::size_t i = 0; i < rates.size(); ++i) {
    for (std::size_t j = i + 1; j < rates.size(); ++j) {
      const double pair = rate(rates, i, j);
      if (slow[i] || slow[j] || pair >= kSlowShare * usual) continue;
      all.push_back({what, Grade::warning,
                     "between " + names[i] + " and " + names[j] + " only " + gb(pair) + ", where " +
                         gb(usual) + " is usual",
                     links.of_nodes
                         ? "a switch on their way is busy or broken: ask for nodes close "
                           "together (slurm.options = [\"--switches=1\"])"
                         : kOneNode});
    }
  }
  if (all.empty()) all.push_back({what, Grade::good, fine, ""});
  return all;
}

}  // namespace lockstep::slurm
