// SPDX-License-Identifier: Apache-2.0
#include "runtime/config/suggest.hpp"

#include <algorithm>
#include <climits>

namespace lockstep {

namespace {

// A third of the letters may be wrong; beyond that a guess is noise.
bool is_near(int distance, const std::string& written) {
  return distance <= std::max<int>(1, static_cast<int>(written.size()) / 3);
}

template <class Named>
std::string names_of(const std::vector<Named>& all) {
  std::string text;
  for (const Named& one : all)
    text += (text.empty() ? "" : ", ") + std::string(one.name);
  return text;
}

// The nearest key of all sections, or empty; of equally near ones that of `home`.
std::string nearest_key(const std::string& home, const std::string& key,
                        const std::vector<Section>& all) {
  std::string best;
  int best_cost = INT_MAX;
  for (const Section& section : all) {
    for (const Key& known : section.keys) {
      const int distance = edit_distance(key, known.name);
      const int cost = 2 * distance + (section.name != home);
      if (cost >= best_cost || !is_near(distance, key)) continue;
      best = std::string(section.name) + "." + known.name;
      best_cost = cost;
    }
  }
  return best;
}

}  // namespace

int edit_distance(std::string_view a, std::string_view b) {
  std::vector<std::vector<int>> d(a.size() + 1, std::vector<int>(b.size() + 1));
  for (std::size_t i = 0; i <= a.size(); ++i)
    d[i][0] = static_cast<int>(i);
  for (std::size_t j = 0; j <= b.size(); ++j)
    d[0][j] = static_cast<int>(j);
  for (std::size_t i = 1; i <= a.size(); ++i) {
    for (std::size_t j = 1; j <= b.size(); ++j) {
      const int replaced = d[i - 1][j - 1] + (a[i - 1] != b[j - 1]);
      d[i][j] = std::min({d[i - 1][j] + 1, d[i][j - 1] + 1, replaced});
      const bool swapped = i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1];
      if (swapped) d[i][j] = std::min(d[i][j], d[i - 2][j - 2] + 1);
    }
  }
  return d[a.size()][b.size()];
}

std::string suggest_key(const Section& section, const std::string& key,
                        const std::vector<Section>& all) {
  const std::string best = nearest_key(section.name, key, all);
  if (!best.empty()) return "did you mean " + best + "?";
  return std::string("[").append(section.name) + "] has " + names_of(section.keys);
}

std::string suggest_section(const std::string& name, const std::vector<Section>& all) {
  const auto best = std::min_element(all.begin(), all.end(), [&](auto& a, auto& b) {
    return edit_distance(name, a.name) < edit_distance(name, b.name);
  });
  if (best != all.end() && is_near(edit_distance(name, best->name), name)) {
    return "did you mean [" + std::string(best->name) + "]?";
  }
  return "the sections are " + names_of(all);
}

std::string suggest_home(const std::string& key, const std::vector<Section>& all) {
  const std::string best = nearest_key("", key, all);
  if (!best.empty()) return "did you mean " + best + "?";
  return "the sections are " + names_of(all);
}

}  // namespace lockstep
