// SPDX-License-Identifier: Apache-2.0
#include "launch/experiment/axes.hpp"

#include <algorithm>
#include <sstream>

#include "runtime/base/error.hpp"
#include "runtime/config/suggest.hpp"

namespace lockstep {

namespace {

struct Entry {
  std::string key;  // "section.key", or a word
  const toml::node* node;
};

std::string place(const std::string& file, const toml::node& node) {
  return file + ":" + std::to_string(node.source().begin.line) + ": ";
}

// In the order of the file, which toml++ does not keep.
std::vector<Entry> in_order(std::vector<Entry> entries) {
  std::stable_sort(entries.begin(), entries.end(), [](const Entry& a, const Entry& b) {
    const auto &x = a.node->source().begin, &y = b.node->source().begin;
    return x.line != y.line ? x.line < y.line : x.column < y.column;
  });
  return entries;
}

// `parallel.data = 2`, `"parallel.data" = 2` and a table [parallel] are the same.
std::vector<Entry> entries_of(const toml::table& table) {
  std::vector<Entry> entries;
  for (const auto& [key, node] : table) {
    const std::string name(key.str());
    const toml::table* inner = node.as_table();
    if (!inner) {
      entries.push_back({name, &node});
      continue;
    }
    for (const auto& [key_inside, value] : *inner)
      entries.push_back({name + "." + std::string(key_inside.str()), &value});
  }
  return in_order(std::move(entries));
}

// The key must be one of a job.
void check_key(const std::string& name, const std::string& where) {
  JobConfig job;
  const std::vector<Section> all = sections_of(job);
  const std::size_t dot = name.find('.');
  if (dot == std::string::npos) {
    throw ConfigError(where + name + " is neither \"ranks\" nor a key of a job (section.key); " +
                      suggest_home(name, all));
  }
  const std::string section_name = name.substr(0, dot), key_name = name.substr(dot + 1);
  const auto named = [](const std::string& text) {
    return [&text](const auto& one) { return text == one.name; };
  };
  const auto section = std::find_if(all.begin(), all.end(), named(section_name));
  if (section == all.end()) {
    throw ConfigError(where + name + " is not a key of a job; " +
                      suggest_section(section_name, all));
  }
  if (std::none_of(section->keys.begin(), section->keys.end(), named(key_name))) {
    throw ConfigError(where + name + " is not a key of a job; " +
                      suggest_key(*section, key_name, all));
  }
}

std::string toml_text(const toml::node& node) {
  std::ostringstream text;
  node.visit([&](const auto& value) { text << value; });
  return text.str();
}

std::string label_of(const toml::node& node) {
  const auto text = node.value_exact<std::string>();
  return text ? *text : toml_text(node);
}

int ranks_from(const toml::node& node, const std::string& where) {
  const auto ranks = node.value_exact<std::int64_t>();
  if (!ranks || *ranks < 1 || *ranks > 1 << 24) {
    throw ConfigError(where + "ranks = " + toml_text(node) + " must be an integer of at least 1");
  }
  return static_cast<int>(*ranks);
}

std::string setting_of(const Entry& entry, const std::string& where) {
  check_key(entry.key, where);
  return entry.key + "=" + toml_text(*entry.node);
}

// {name = "pipeline", ranks = 2, parallel.pipeline = 2}
AxisValue variant_of(const toml::table& table, const std::string& where) {
  AxisValue value;
  for (const Entry& entry : entries_of(table)) {
    if (entry.key == "name") {
      value.label = label_of(*entry.node);
    } else if (entry.key == "ranks") {
      value.ranks = ranks_from(*entry.node, where);
    } else {
      value.settings.push_back(setting_of(entry, where));
    }
  }
  if (value.label.empty()) throw ConfigError(where + "a variant needs a name = \"...\"");
  return value;
}

AxisValue value_of(const std::string& axis, const toml::node& node, const std::string& where) {
  if (const toml::table* table = node.as_table()) return variant_of(*table, where);
  if (axis == "ranks") return {label_of(node), ranks_from(node, where), {}};
  return {label_of(node), 0, {setting_of({axis, &node}, where)}};
}

void check_labels(const Axis& axis, const std::string& where) {
  for (std::size_t i = 0; i < axis.values.size(); ++i) {
    for (std::size_t k = 0; k < i; ++k) {
      if (axis.values[i].label == axis.values[k].label) {
        throw ConfigError(where + axis.name + " has \"" + axis.values[i].label + "\" twice");
      }
    }
  }
}

}  // namespace

std::vector<Axis> read_axes(const toml::table& table, const std::string& file) {
  std::vector<Axis> axes;
  for (const Entry& entry : entries_of(table)) {
    const std::string where = place(file, *entry.node) + "axes: ";
    const toml::array* values = entry.node->as_array();
    const bool variants = values && !values->empty() && values->front().is_table();
    if (entry.key != "ranks" && !variants) check_key(entry.key, where);
    if (!values || values->empty()) {
      throw ConfigError(where + entry.key + " must be a list of the values to try");
    }
    Axis axis{entry.key.substr(entry.key.rfind('.') + 1), {}};
    for (const toml::node& node : *values)
      axis.values.push_back(value_of(entry.key, node, where));
    check_labels(axis, where);
    axes.push_back(std::move(axis));
  }
  return axes;
}

std::vector<std::string> read_settings(const toml::table& table, const std::string& file) {
  std::vector<std::string> settings;
  for (const Entry& entry : entries_of(table))
    settings.push_back(setting_of(entry, place(file, *entry.node) + "set: "));
  return settings;
}

}  // namespace lockstep
