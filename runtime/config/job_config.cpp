// SPDX-License-Identifier: Apache-2.0
// Reading and writing job files; both walk the list of keys.cpp.
#include "runtime/config/job_config.hpp"

#include <cstddef>
#include <span>

#include <nlohmann/json.hpp>

#include "runtime/base/error.hpp"
#include "runtime/base/mapped_file.hpp"
#include "runtime/config/suggest.hpp"
#include "runtime/config/toml_text.hpp"
#include "runtime/config/toml_value.hpp"

namespace lockstep {

namespace {

std::string place(const std::string& file, const toml::node& node) {
  const toml::source_index line = node.source().begin.line;
  return line ? file + ":" + std::to_string(line) : file;
}

template <class Named>
const Named* find(const std::vector<Named>& all, std::string_view name) {
  for (const Named& one : all) {
    if (one.name == name) return &one;
  }
  return nullptr;
}

const Section& find_section(const std::vector<Section>& all, const std::string& name,
                            const std::string& where) {
  if (const Section* section = find(all, name)) return *section;
  throw ConfigError(where + ": [" + name + "] is not a section; " + suggest_section(name, all));
}

const Key& find_key(const std::vector<Section>& all, const Section& section,
                    const std::string& name, const std::string& where) {
  if (const Key* key = find(section.keys, name)) return *key;
  throw ConfigError(where + ": " + section.name + "." + name + " is not a key; " +
                    suggest_key(section, name, all));
}

void read_section(const std::vector<Section>& all, const Section& section, const toml::table& table,
                  const std::string& file) {
  for (const auto& [name, node] : table) {
    const std::string where = place(file, node);
    const Key& key = find_key(all, section, std::string(name.str()), where);
    read_value(section, key, {.where = where, .node = node});
  }
}

void read_file(const std::vector<Section>& all, const toml::table& root, const std::string& file) {
  for (const auto& [key, node] : root) {
    const std::string name(key.str()), where = place(file, node);
    const toml::table* table = node.as_table();
    if (!table && !find(all, name)) {
      throw ConfigError(where + ": " + name + " stands outside any section; " +
                        suggest_home(name, all));
    }
    const Section& section = find_section(all, name, where);
    if (!table) throw ConfigError(where + ": " + name + " is a section: write [" + name + "]");
    read_section(all, section, *table, file);
  }
}

// What the resolved file could not hold.
void expect_utf8(const std::string& text) {
  try {
    (void)nlohmann::json(text).dump();
  } catch (const nlohmann::json::type_error&) {
    throw ConfigError("--set: what it sets is not UTF-8, which a job file must be");
  }
}

std::string trimmed(const std::string& text) {
  const std::size_t begin = text.find_first_not_of(' ');
  return begin == std::string::npos ? ""
                                    : text.substr(begin, text.find_last_not_of(' ') - begin + 1);
}

// The right side of --set as TOML; what is not TOML is taken as text, so quotes are optional.
toml::table override_table(const std::string& text) {
  try {
    toml::table table = parse_toml("value = " + text, "--set");
    if (table.size() == 1) return table;  // more than one: the text holds lines of its own
  } catch (const ConfigError&) {
  }
  return toml::table{{"value", text}};
}

void apply_override(const std::vector<Section>& all, const std::string& assignment) {
  expect_utf8(assignment);
  const std::string where = "--set " + assignment;
  const std::size_t equals = assignment.find('='), dot = assignment.find('.');
  if (equals == std::string::npos || dot > equals) {
    throw ConfigError(where + ": must be section.key=value");
  }
  const std::string name = trimmed(assignment.substr(0, dot));
  const std::string key_name = trimmed(assignment.substr(dot + 1, equals - dot - 1));
  const std::string text = trimmed(assignment.substr(equals + 1));

  const Section& section = find_section(all, name, where);
  const Key& key = find_key(all, section, key_name, where);
  const toml::table value = override_table(text);
  read_value(section, key, {.where = where, .node = *value.get("value"), .bare = text});
}

std::string key_line(const Key& key, const std::string& limits) {
  constexpr std::size_t kCommentColumn = 32;
  std::string line = std::string(key.name) + " = " + write_value(key.value);
  line.append(line.size() < kCommentColumn ? kCommentColumn - line.size() : 0, ' ');
  return line + "  # " + key.doc + (limits.empty() ? "" : " (" + limits + ")") + "\n";
}

std::string limits_among(const Section& section, const Key& key,
                         const std::vector<KeyNames>& tables) {
  const std::string full = std::string(section.name) + "." + key.name;
  for (const KeyNames& table : tables) {
    if (table.key == full) return table.names;
  }
  return limits_of(key);
}

std::string written(const JobConfig& config, const std::vector<KeyNames>& tables) {
  JobConfig values = config;  // the list of keys points to members that can be written
  std::string text;
  for (const Section& section : sections_of(values)) {
    text += (text.empty() ? "[" : "\n[") + std::string(section.name) + "]  # " + section.doc + "\n";
    for (const Key& key : section.keys)
      text += key_line(key, limits_among(section, key, tables));
  }
  return text;
}

}  // namespace

JobConfig parse_job(const std::string& text, const std::string& name,
                    const std::vector<std::string>& overrides, const JobConfig& defaults) {
  JobConfig config = defaults;
  const std::vector<Section> all = sections_of(config);
  read_file(all, parse_toml(text, name), name);
  for (const std::string& assignment : overrides)
    apply_override(all, assignment);
  try {
    validate(config);
  } catch (const ConfigError& error) {
    throw ConfigError(name + ": " + error.what());
  }
  return config;
}

JobConfig load_job(const std::string& path, const std::vector<std::string>& overrides,
                   const JobConfig& defaults) {
  const MappedFile file = MappedFile::open(path);
  const std::span<const std::byte> bytes = file.bytes();
  const std::string text(reinterpret_cast<const char*>(bytes.data()), bytes.size());
  return parse_job(text, path, overrides, defaults);
}

std::string to_toml(const JobConfig& config) {
  return written(config, {});
}

std::vector<std::string> settings_between(const JobConfig& from, const JobConfig& to) {
  JobConfig before = from, after = to;
  const std::vector<Section> old_keys = sections_of(before), new_keys = sections_of(after);
  std::vector<std::string> settings;
  for (std::size_t s = 0; s < new_keys.size(); ++s) {
    for (std::size_t k = 0; k < new_keys[s].keys.size(); ++k) {
      const std::string value = write_value(new_keys[s].keys[k].value);
      if (value == write_value(old_keys[s].keys[k].value)) continue;
      settings.push_back(std::string(new_keys[s].name) + "." + new_keys[s].keys[k].name + "=" +
                         value);
    }
  }
  return settings;
}

std::string key_reference() {
  return to_toml(JobConfig{});
}

std::string key_reference(const std::vector<KeyNames>& tables) {
  return written(JobConfig{}, tables);
}

}  // namespace lockstep
