// SPDX-License-Identifier: Apache-2.0
// The list of keys: written and read back unchanged, complete, and suggested from.
#include <set>

#include "runtime/config/keys.hpp"
#include "runtime/config/suggest.hpp"
#include "tests/support/catch.hpp"

using namespace lockstep;

namespace {

// A value that differs from the default and is allowed; keys that must fit each other still do.
struct Changed {
  const Key& key;
  void operator()(bool* v) const { *v = !*v; }
  void operator()(int* v) const { *v = *v * 2; }
  void operator()(std::int64_t* v) const { *v = *v * 2 + (*v == 0 ? 4 : 0); }
  void operator()(double* v) const { *v = *v == 0 ? 0.3 : *v / 3; }
  void operator()(std::string* v) const {
    *v = key.allowed.empty() ? "a \"b\"\\ 'c'\n\t\x01\xc3\xa9" : key.allowed.back();
  }
  void operator()(std::vector<std::string>* v) const { *v = {"x, y", "]"}; }
  void operator()(std::array<double, 2>* v) const { *v = {1.0 / 3, 0}; }
};

JobConfig changed() {
  JobConfig config;
  for (const Section& section : sections_of(config)) {
    for (const Key& key : section.keys)
      std::visit(Changed{key}, key.value);
  }
  config.job.sample_length = 0;    // of tokens there is no text
  config.job.target_accuracy = 0;  // a run has one target
  config.job.determinism = "run";  // layout excludes much
  config.failures.nonfinite = "stop";
  config.failures.straggler_factor *= 6;  // above 1
  return config;
}

}  // namespace

TEST_CASE("a configuration written as TOML reads back the same") {
  for (const JobConfig& config : {JobConfig{}, changed()}) {
    const std::string text = to_toml(config);
    INFO(text);
    const JobConfig back = parse_job(text, "round-trip");
    CHECK(to_toml(back) == text);
    CHECK(back.job.sample_prompt == config.job.sample_prompt);
    CHECK(back.data.path == config.data.path);
    CHECK(back.optimizer.learning_rate == config.optimizer.learning_rate);  // the same bits
    CHECK(back.optimizer.betas == config.optimizer.betas);
  }
}

TEST_CASE("every key has a meaning, a name of its own and a default that it allows") {
  JobConfig defaults;
  for (const Section& section : sections_of(defaults)) {
    std::set<std::string> names;
    CHECK(std::string(section.doc) != "");
    for (const Key& key : section.keys) {
      INFO(section.name << "." << key.name);
      CHECK(std::string(key.doc) != "");
      CHECK(names.insert(key.name).second);
    }
  }
  CHECK_NOTHROW(parse_job(key_reference(), "defaults"));
}

TEST_CASE("no two keys share a member") {
  JobConfig config;
  std::set<const void*> members;
  for (const Section& section : sections_of(config)) {
    for (const Key& key : section.keys) {
      INFO(section.name << "." << key.name);
      const void* member = std::visit([](const auto* m) -> const void* { return m; }, key.value);
      CHECK(members.insert(member).second);
    }
  }
}

TEST_CASE("the reference shows a key with its default, meaning and limits") {
  CHECK_THAT(key_reference(),
             ContainsSubstring("steps = 100                       # optimizer steps (at least 1)"));
  CHECK_THAT(key_reference(), ContainsSubstring("(constant, linear, cosine or wsd)"));
  CHECK_THAT(key_reference(), ContainsSubstring("\n[model]  # what is trained\n"));
}

TEST_CASE("edit distance counts insertions, deletions, replacements and swaps") {
  CHECK(edit_distance("", "") == 0);
  CHECK(edit_distance("layers", "layers") == 0);
  CHECK(edit_distance("layer", "layers") == 1);
  CHECK(edit_distance("", "abc") == 3);
  CHECK(edit_distance("modle", "model") == 1);
  CHECK(edit_distance("kitten", "sitting") == 3);
}
