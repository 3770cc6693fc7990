// SPDX-License-Identifier: Apache-2.0
#include "runtime/config/toml_value.hpp"

#include <algorithm>
#include <charconv>
#include <cmath>

#include "runtime/base/error.hpp"
#include "runtime/config/toml_text.hpp"

namespace lockstep {

namespace {

using Strings = std::vector<std::string>;
using Pair = std::array<double, 2>;

// ---- conversion: what a TOML value is as the member's type, or nothing

std::optional<double> number(const toml::node& node) {
  if (const auto integer = node.value_exact<std::int64_t>()) return static_cast<double>(*integer);
  return node.value_exact<double>();
}

void convert(const WrittenValue& w, std::optional<bool>& v) {
  v = w.node.value_exact<bool>();
}

void convert(const WrittenValue& w, std::optional<std::int64_t>& v) {
  v = w.node.value_exact<std::int64_t>();
}

void convert(const WrittenValue& w, std::optional<int>& v) {
  const auto wide = w.node.value_exact<std::int64_t>();
  if (wide && *wide == static_cast<int>(*wide)) v = static_cast<int>(*wide);
}

void convert(const WrittenValue& w, std::optional<double>& v) {
  v = number(w.node);
}

void convert(const WrittenValue& w, std::optional<std::string>& v) {
  v = w.node.value_exact<std::string>();
  if (!v) v = w.bare;
}

void convert(const WrittenValue& w, std::optional<Strings>& v) {
  const toml::array* list = w.node.as_array();
  if (!list) {  // a single text is a list of one
    std::optional<std::string> one;
    convert(w, one);
    if (one) v = Strings{*one};
    return;
  }
  if (!list->empty() && !list->is_homogeneous<std::string>()) return;
  v.emplace();
  for (const toml::node& item : *list)
    v->push_back(*item.value_exact<std::string>());
}

void convert(const WrittenValue& w, std::optional<Pair>& v) {
  const toml::array* list = w.node.as_array();
  if (!list || list->size() != 2) return;
  const auto first = number((*list)[0]), second = number((*list)[1]);
  if (first && second) v = Pair{*first, *second};
}

const char* type_text(bool) {
  return "true or false";
}
const char* type_text(int) {
  return "an integer of 32 bits";
}
const char* type_text(std::int64_t) {
  return "an integer";
}
const char* type_text(double) {
  return "a number";
}
const char* type_text(const std::string&) {
  return "a text in quotes";
}
const char* type_text(const Strings&) {
  return "a list of texts in quotes";
}
const char* type_text(const Pair&) {
  return "a list of two numbers";
}

// ---- limits

bool inside(double v, const Bounds& r) {  // false for NaN and infinity
  return std::isfinite(v) && (r.low_open ? v > r.low : v >= r.low) &&
         (r.high_open ? v < r.high : v <= r.high);
}

bool permitted(bool, const Key&) {
  return true;
}
bool permitted(const Strings&, const Key&) {
  return true;
}
bool permitted(double v, const Key& key) {
  return inside(v, key.range);
}
bool permitted(int v, const Key& key) {
  return inside(v, key.range);
}
bool permitted(std::int64_t v, const Key& key) {
  return inside(static_cast<double>(v), key.range);
}
bool permitted(const Pair& v, const Key& key) {
  return inside(v[0], key.range) && inside(v[1], key.range);
}
bool permitted(const std::string& v, const Key& key) {
  return key.allowed.empty() ||
         std::find(key.allowed.begin(), key.allowed.end(), v) != key.allowed.end();
}

// ---- text

std::string shortest(double v) {  // reads back to the same bits
  char text[32];
  return {text, std::to_chars(text, text + sizeof text, v).ptr};
}

std::string to_text(bool v) {
  return v ? "true" : "false";
}
std::string to_text(int v) {
  return std::to_string(v);
}
std::string to_text(std::int64_t v) {
  return std::to_string(v);
}
std::string to_text(const std::string& v) {
  return formatted(toml::value<std::string>(v));
}
std::string to_text(double v) {
  const std::string text = shortest(v);
  const bool whole = text.find_first_not_of("-0123456789") == std::string::npos;
  return whole ? text + ".0" : text;  // TOML tells 1 from 1.0
}

std::string to_text(const toml::node& node);

template <class List>
std::string list_text(const List& list) {
  std::string text;
  for (const auto& item : list) {
    text += (text.empty() ? "" : ", ") + to_text(item);
  }
  return "[" + text + "]";
}
std::string to_text(const Strings& v) {
  return list_text(v);
}
std::string to_text(const Pair& v) {
  return list_text(v);
}

// What the user wrote, on one line.
std::string to_text(const toml::node& node) {
  if (node.is_table()) return "{...}";
  if (const toml::array* list = node.as_array()) return list_text(*list);
  if (const auto number = node.value_exact<double>()) return to_text(*number);
  return formatted(node);
}

std::string range_text(const Bounds& r) {
  const std::string low = (r.low_open ? "above " : "at least ") + shortest(r.low);
  const std::string high = (r.high_open ? "below " : "at most ") + shortest(r.high);
  if (std::isinf(r.low)) return std::isinf(r.high) ? "" : high;
  return std::isinf(r.high) ? low : low + " and " + high;
}

std::string choice_text(std::span<const char* const> names) {
  std::string text = names[0];
  for (std::size_t i = 1; i < names.size(); ++i) {
    text += (i + 1 == names.size() ? " or " : ", ") + std::string(names[i]);
  }
  return text;
}

}  // namespace

void read_value(const Section& section, const Key& key, const WrittenValue& written) {
  const std::string said =
      written.where + ": " + section.name + "." + key.name + " = " + to_text(written.node);
  const auto read_as = [&]<class T>(T* member) {
    std::optional<T> given;
    convert(written, given);
    if (!given) throw ConfigError(said + ": must be " + type_text(*member));
    if (!permitted(*given, key)) {
      const std::string limits = limits_of(key);
      throw ConfigError(said + ": must be " + (limits.empty() ? "finite" : limits));
    }
    *member = std::move(*given);
  };
  std::visit(read_as, key.value);
}

std::string write_value(const KeyValue& value) {
  return std::visit([](const auto* member) { return to_text(*member); }, value);
}

std::string limits_of(const Key& key) {
  return key.allowed.empty() ? range_text(key.range) : choice_text(key.allowed);
}

}  // namespace lockstep
