// SPDX-License-Identifier: Apache-2.0
#include "perfmodels/machine/profile.hpp"

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <fstream>
#include <optional>
#include <set>
#include <sstream>

#include <toml++/toml.h>

#include "perfmodels/machine/profile_keys.hpp"
#include "runtime/base/error.hpp"
#include "runtime/config/toml_text.hpp"

namespace lockstep {

namespace profile {
namespace {

class Reader {
 public:
  Reader(const toml::table& table, std::string path, const std::string& file)
      : table_(table), path_(std::move(path)), file_(file) {}

  void key(const char* name, std::string& text) {
    const toml::node* node = find(name);
    if (!node) return;
    if (!node->is_string()) fail(*node, name, "must be text");
    text = **node->as_string();
  }
  void key(const char* name, std::string& text, const Words& allowed) {
    key(name, text);
    if (text.empty() || std::find(allowed.begin(), allowed.end(), text) != allowed.end()) return;
    std::string all;
    for (const char* word : allowed)
      all += (all.empty() ? "must be " : " or ") + std::string(word);
    fail(*find(name), name, all, text);
  }
  void key(const char* name, bool& value) {
    const toml::node* node = find(name);
    if (!node) return;
    if (!node->is_boolean()) fail(*node, name, "must be true or false");
    value = **node->as_boolean();
  }
  void key(const char* name, double& value, const Bounds& bounds = kAny) {
    if (const toml::node* node = find(name)) value = number(*node, name, bounds);
  }
  void key(const char* name, int& value, const Bounds& bounds = kAny) {
    const toml::node* node = find(name);
    if (!node) return;
    if (!node->is_integer()) fail(*node, name, "must be a whole number");
    value = static_cast<int>(number(*node, name, bounds));
  }
  void key(const char* name, Figure& figure, const Bounds& bounds = kAny) {
    const toml::node* node = find(name);
    if (!node) return;
    if (const toml::array* parts = node->as_array()) {
      figure = figure_of(*parts, 0, name, bounds);
    } else {
      figure.value = number(*node, name, bounds);
    }
  }
  void key(const char* name, Curve& curve) {
    const toml::node* node = find(name);
    if (!node) return;
    if (!node->is_array()) fail(*node, name, kCurveForm);
    std::vector<Point> points;
    for (const toml::node& entry : *node->as_array()) {
      const toml::array* parts = entry.as_array();
      if (!parts || parts->empty()) fail(entry, name, kCurveForm);
      const double x = number((*parts)[0], name, kPositive);
      if (!points.empty() && x <= points.back().x) fail(entry, name, "must ascend");
      points.push_back({x, figure_of(*parts, 1, name, kPositive)});
    }
    curve = Curve(std::move(points));
  }

  template <class T>
  void table(const char* name, T& t) {
    const toml::node* node = find(name);
    if (!node) return;
    if (!node->is_table()) fail(*node, name, "must be a table");
    read(*node->as_table(), inner(name), file_, t);
  }
  template <class T>
  void tables(const char* name, std::vector<T>& all) {
    const toml::node* node = find(name);
    if (!node) return;
    if (!node->is_array()) fail(*node, name, "must be tables, [[" + inner(name) + "]]");
    for (const toml::node& entry : *node->as_array()) {
      if (!entry.is_table()) fail(entry, name, "must be tables, [[" + inner(name) + "]]");
      read(*entry.as_table(), inner(name), file_, all.emplace_back());
    }
  }

  template <class T>
  static void read(const toml::table& table, const std::string& path, const std::string& file,
                   T& t) {
    Reader reader(table, path, file);
    describe(reader, t);
    reader.expect_all_known();
  }

 private:
  static constexpr const char* kFigureForm = "must be a number or [value, low, high]";
  static constexpr const char* kCurveForm = "must be a list of [x, value, low, high]";

  const toml::node* find(const char* name) {
    known_.insert(name);
    return table_.get(name);
  }
  std::string inner(const char* name) const { return path_.empty() ? name : path_ + "." + name; }

  double number(const toml::node& node, const char* name, const Bounds& bounds) const {
    const std::optional<double> value = node.value<double>();
    if (!value || std::isnan(*value)) fail(node, name, kFigureForm);
    const bool below = bounds.low_open ? *value <= bounds.low : *value < bounds.low;
    if (below || *value > bounds.high) {
      char text[32];
      std::snprintf(text, sizeof text, "%g", *value);
      fail(node, name, std::string("must be ") + bounds.text, text);
    }
    return *value;
  }
  // parts[first...]: value, and low and high where they are known.
  Figure figure_of(const toml::array& parts, std::size_t first, const char* name,
                   const Bounds& bounds) const {
    const std::size_t n = parts.size() - first;
    if (n != 1 && n != 3) fail(parts, name, kFigureForm);
    Figure f{.value = number(parts[first], name, bounds)};
    if (n == 1) return f;
    f.low = number(parts[first + 1], name, kAny);
    f.high = number(parts[first + 2], name, kAny);
    if (f.low > f.value || f.high < f.value) fail(parts, name, "must have low <= value <= high");
    return f;
  }

  void expect_all_known() const {
    for (const auto& [name, node] : table_) {
      if (known_.contains(std::string(name.str()))) continue;
      std::string all;
      for (const std::string& known : known_)
        all += (all.empty() ? "" : ", ") + known;
      fail(node, std::string(name.str()).c_str(), "is unknown; allowed here: " + all);
    }
  }

  [[noreturn]] void fail(const toml::node& node, const char* name, const std::string& what,
                         const std::string& value = "") const {
    throw ConfigError(file_ + ":" + std::to_string(node.source().begin.line) + ": " + inner(name) +
                      (value.empty() ? " " : " = " + value + " ") + what);
  }

  const toml::table& table_;
  std::string path_;
  const std::string& file_;
  std::set<std::string> known_;
};

}  // namespace
}  // namespace profile

Machine parse_machine(const std::string& text, const std::string& name) {
  Machine machine;
  profile::Reader::read(parse_toml(text, name), "", name, machine);
  if (machine.name.empty()) throw ConfigError(name + ": machine.name is missing");
  return machine;
}

Machine load_machine(const std::string& path) {
  std::ifstream file(path);
  std::stringstream text;
  text << file.rdbuf();
  if (!file) {
    throw ConfigError("no machine profile can be read from " + path +
                      "; `lockstep calibrate -o FILE` measures one");
  }
  return parse_machine(text.str(), path);
}

}  // namespace lockstep
