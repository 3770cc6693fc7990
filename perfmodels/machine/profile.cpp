// SPDX-License-Identifier: Apache-2.0
#include "perfmodels/machine/profile.hpp"

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <fstream>
#include <limits>
#include <optional>
#include <set>
#include <sstream>

#include <toml++/toml.h>

#include "runtime/base/error.hpp"
#include "runtime/config/toml_text.hpp"

namespace lockstep {

namespace {

// What a number may be.
struct Bounds {
  double low = 0, high = std::numeric_limits<double>::infinity();
  bool low_open = false;
  const char* text = "at least 0";
};
using Words = std::initializer_list<const char*>;
constexpr Bounds kAny{};
constexpr Bounds kPositive{0, std::numeric_limits<double>::infinity(), true, "above 0"};
constexpr Bounds kShare{0, 1, true, "above 0 and at most 1"};
constexpr Bounds kSlowdown{1, std::numeric_limits<double>::infinity(), false, "at least 1"};

// ---- The keys of every table, once: reading, checking and writing walk them. ----

template <class V>
void describe(V& v, LogGP& t) {
  v.key("L", t.L);
  v.key("o_send", t.o_send);
  v.key("o_recv", t.o_recv);
  v.key("g", t.g);
  v.key("G", t.G);
}
template <class V>
void describe(V& v, Segment& t) {
  v.key("from_bytes", t.from_bytes);
  v.key("alpha", t.alpha);
  v.key("beta", t.beta);
}
template <class V>
void describe(V& v, LinkProfile& t) {
  v.key("level", t.level);
  v.key("source", t.source);
  v.key("rendezvous_bytes", t.rendezvous_bytes);
  v.key("ports", t.ports, kPositive);
  v.key("sharing", t.sharing, {"queue", "share"});
  v.key("contention", t.contention);
  v.table("loggp", t.loggp);
  v.tables("segment", t.segments);
  v.key("messages", t.messages);
  v.key("gaps", t.gaps);
}
template <class V>
void describe(V& v, GemmPoint& t) {
  v.key("kernel", t.kernel);
  v.key("by", t.by);
  v.key("m", t.m, kPositive);
  v.key("n", t.n, kPositive);
  v.key("k", t.k, kPositive);
  v.key("seconds", t.seconds, kPositive);
}
template <class V>
void describe(V& v, AttentionPoint& t) {
  v.key("pass", t.pass);
  v.key("by", t.by);
  v.key("B", t.B, kPositive);
  v.key("T", t.T, kPositive);
  v.key("H", t.H, kPositive);
  v.key("D", t.D, kPositive);
  v.key("seconds", t.seconds, kPositive);
}
template <class V>
void describe(V& v, KernelCurve& t) {
  v.key("kernel", t.kernel);
  v.key("seconds", t.seconds);
}
template <class V>
void describe(V& v, GemmTile& t) {
  v.key("m", t.m, kPositive);
  v.key("n", t.n, kPositive);
}
template <class V>
void describe(V& v, ComputeProfile& t) {
  v.key("dtype", t.dtype);
  v.key("source", t.source);
  v.key("peak_flops", t.peak_flops, kPositive);
  v.key("memory_bandwidth", t.memory_bandwidth, kPositive);
  v.key("launch", t.launch);
  v.key("gemm_efficiency", t.gemm_efficiency, kShare);
  v.key("attention_efficiency", t.attention_efficiency, kShare);
  v.key("streaming_efficiency", t.streaming_efficiency, kShare);
  v.key("processors", t.processors);
  v.key("cache_bandwidth", t.cache_bandwidth, kPositive);
  v.key("tile_latency", t.tile_latency);
  v.tables("tile", t.tiles);
  v.tables("gemm", t.gemm);
  v.tables("attention", t.attention);
  v.tables("streaming", t.streaming);
}
template <class V>
void describe(V& v, SharedProfile& t) {
  v.key("source", t.source);
  v.key("gamma", t.gamma);
  v.key("sync", t.sync);
  v.key("crowded_sync", t.crowded_sync);
  v.key("copy", t.copy);
  v.key("reduce", t.reduce);
  v.key("stage", t.stage);
  v.key("reach", t.reach);
  v.key("fetch", t.fetch);
}
template <class V>
void describe(V& v, CollectiveCurve& t) {
  v.key("operation", t.operation);
  v.key("label", t.label);
  v.key("ranks", t.ranks, kPositive);
  v.key("nodes", t.nodes, kPositive);
  v.key("memory", t.memory);
  v.key("source", t.source);
  v.key("seconds", t.seconds);
}
template <class V>
void describe(V& v, OverlapProfile& t) {
  v.key("source", t.source);
  v.key("compute_slowdown", t.compute_slowdown, kSlowdown);
  v.key("communication_slowdown", t.communication_slowdown, kSlowdown);
  v.key("delay", t.delay);
}
template <class V>
void describe(V& v, SkewProfile& t) {
  v.key("source", t.source);
  v.key("ranks", t.ranks);
  v.key("waiting", t.waiting);
}
template <class V>
void describe(V& v, DriftProfile& t) {
  v.key("source", t.source);
  v.key("compute", t.compute);
  v.key("memory", t.memory);
  v.key("collectives", t.collectives);
}
struct Head {
  Machine& machine;
};
template <class V>
void describe(V& v, Head& head) {
  Machine& t = head.machine;
  v.key("name", t.name);
  v.key("source", t.source);
  v.key("calibrated", t.calibrated);
  v.key("nodes", t.nodes, kPositive);
  v.key("devices_per_node", t.devices_per_node, kPositive);
  v.key("cores_per_node", t.cores_per_node, kPositive);
  v.key("device", t.device);
  v.key("threads_per_device", t.threads_per_device, kPositive);
  v.key("memory_bytes", t.memory_bytes, kPositive);
}
template <class V>
void describe(V& v, Machine& t) {
  Head head{t};
  v.table("machine", head);
  v.tables("compute", t.compute);
  v.tables("link", t.links);
  v.table("shared", t.shared);
  v.table("overlap", t.overlap);
  v.table("skew", t.skew);
  v.table("drift", t.drift);
  v.tables("collective", t.collectives);
}

// ---- Reading ----

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

// ---- Writing ----

std::string text_of(double value) {
  char text[32];
  std::snprintf(text, sizeof text, "%.9g", value);
  return text;
}

class Writer {
 public:
  explicit Writer(std::string& out, std::string path = "") : out_(out), path_(std::move(path)) {}

  void key(const char* name, const std::string& text) {
    if (!text.empty()) line(name, formatted(toml::value<std::string>(text)));
  }
  void key(const char* name, const std::string& text, const Words&) { key(name, text); }
  void key(const char* name, bool value) { line(name, value ? "true" : "false"); }
  void key(const char* name, int value, const Bounds& = kAny) { line(name, std::to_string(value)); }
  void key(const char* name, double value, const Bounds& = kAny) {
    if (value != 0) line(name, text_of(value));
  }
  void key(const char* name, const Figure& f, const Bounds& = kAny) {
    if (f.known()) line(name, f.high > 0 ? "[" + figure(f) + "]" : text_of(f.value));
  }
  void key(const char* name, const Curve& curve) {
    if (curve.empty()) return;
    std::string all = "[";
    for (const Point& p : curve.points())
      all += "\n  [" + text_of(p.x) + ", " + figure(p.y) + "],";
    line(name, all + "\n]");
  }
  template <class T>
  void table(const char* name, T& t) {
    std::string body;
    Writer inside(body, inner(name));
    describe(inside, t);
    if (!body.empty()) later_ += "\n[" + inner(name) + "]\n" + inside.all(body);
  }
  template <class T>
  void tables(const char* name, std::vector<T>& all) {
    for (T& t : all) {
      std::string body;
      Writer inside(body, inner(name));
      describe(inside, t);
      later_ += "\n[[" + inner(name) + "]]\n" + inside.all(body);
    }
  }
  // Keys stand before tables.
  std::string all(const std::string& keys) const { return keys + later_; }

 private:
  static std::string figure(const Figure& f) {
    if (f.high == 0) return text_of(f.value);
    return text_of(f.value) + ", " + text_of(f.low) + ", " + text_of(f.high);
  }
  std::string inner(const char* name) const { return path_.empty() ? name : path_ + "." + name; }
  void line(const char* name, const std::string& value) {
    out_ += std::string(name) + " = " + value + "\n";
  }

  std::string& out_;
  std::string path_, later_;
};

}  // namespace

Machine parse_machine(const std::string& text, const std::string& name) {
  Machine machine;
  Reader::read(parse_toml(text, name), "", name, machine);
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

std::string to_toml(const Machine& machine) {
  std::string keys;
  Writer writer(keys);
  Machine copy = machine;  // describe() takes what it may fill
  describe(writer, copy);
  return "# A machine profile of lockstep: seconds, bytes, FLOP/s; [value, low, high] is a 90 % "
         "interval.\n" +
         writer.all(keys);
}

}  // namespace lockstep
