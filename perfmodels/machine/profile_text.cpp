// SPDX-License-Identifier: Apache-2.0
// A profile as text.
#include <cstdio>

#include <toml++/toml.h>

#include "perfmodels/machine/profile.hpp"
#include "perfmodels/machine/profile_keys.hpp"
#include "runtime/config/toml_text.hpp"

namespace lockstep {

namespace profile {
namespace {

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
}  // namespace profile

std::string to_toml(const Machine& machine) {
  std::string keys;
  profile::Writer writer(keys);
  Machine copy = machine;  // describe() takes what it may fill
  profile::describe(writer, copy);
  return "# A machine profile of lockstep: seconds, bytes, FLOP/s; [value, low, high] is a 90 % "
         "interval.\n" +
         writer.all(keys);
}

}  // namespace lockstep
