// SPDX-License-Identifier: Apache-2.0
// toml++ up to 3.4 asks whether characters beyond ASCII are white space, in a way that is undefined
// for many of them, such as § (its issues 190 and 295), and drops those that are. It asks in two
// places: outside of quotes and comments, where TOML has only ASCII, and behind the backslash that
// ends a line of a """text""", where any character may stand. So the first are refused here, and
// the second reach it as \U escapes, which are the same text. All else passes as it is, but for
// blanks before each quoted text and each comment: they change nothing, and end what it scans ahead
// of a bare value, one, or two where a date might have a time.
#include "runtime/config/toml_text.hpp"

#include <algorithm>
#include <cstdint>
#include <cstdio>
#include <sstream>
#include <string_view>

#include "runtime/base/error.hpp"

namespace lockstep {

namespace {

constexpr std::string_view kByteOrderMark = "\xEF\xBB\xBF", kBlank = " \t\r\n", kEnd = "  ";

[[noreturn]] void refuse(const std::string& name, std::size_t line, std::string_view why) {
  throw ConfigError(name + ":" + std::to_string(line) + ": not valid TOML: " + std::string(why));
}

struct Character {
  std::uint32_t code = 0;
  std::size_t bytes = 0;  // 0: not UTF-8
};

// The first, which is beyond ASCII.
Character first_of(std::string_view text) {
  constexpr std::uint32_t kSmallest[] = {0x80, 0x800, 0x10000};
  const std::uint32_t lead = static_cast<unsigned char>(text[0]);
  const std::size_t bytes = lead >= 0xF0 ? 4 : lead >= 0xE0 ? 3 : 2;
  if (lead < 0xC0 || lead >= 0xF8 || text.size() < bytes) return {};
  std::uint32_t code = lead & (0x7FU >> bytes);
  for (const char next : text.substr(1, bytes - 1)) {
    if ((next & 0xC0) != 0x80) return {};
    code = code << 6 | (next & 0x3FU);
  }
  return code < kSmallest[bytes - 2] ? Character{} : Character{code, bytes};
}

class Walk {
 public:
  Walk(std::string_view text, const std::string& name) : text_(text), name_(name) {}

  std::string safe_text() {
    if (text_.starts_with(kByteOrderMark)) text_.remove_prefix(kByteOrderMark.size());
    while (!at_end()) {
      const char c = text_[at_];
      if (c == '#') {
        out_ += kEnd;
        pass(text_.find('\n', at_) - at_);  // or all of it
      } else if (c == '"' || c == '\'') {
        quoted(c);
      } else {
        expect_ascii("only quotes and comments may hold characters beyond ASCII");
        pass(1);
      }
    }
    return std::move(out_);
  }

 private:
  bool at_end() const { return at_ >= text_.size(); }
  bool beyond_ascii() const { return !at_end() && (text_[at_] & 0x80) != 0; }

  void pass(std::size_t bytes) {
    const std::string_view passed = text_.substr(at_, bytes);
    out_ += passed;
    at_ += passed.size();
  }

  std::size_t run_of(std::string_view characters) const {
    return std::min(text_.find_first_not_of(characters, at_), text_.size()) - at_;
  }

  void quoted(char quote) {
    out_ += kEnd;
    const bool long_form = run_of({&quote, 1}) >= 3;
    pass(long_form ? 3 : 1);
    while (!at_end()) {
      const char c = text_[at_];
      if (c == quote) {
        const std::size_t run = long_form ? std::min<std::size_t>(run_of({&quote, 1}), 5) : 1;
        pass(run);  // the last three of up to five end a long text
        if (!long_form || run >= 3) return;
      } else if (c == '\n' && !long_form) {
        return;  // toml++ says what is wrong
      } else if (c == '\\' && quote == '"') {
        escape(long_form);
      } else {
        pass(1);
      }
    }
  }

  // A backslash and what it applies to: a character, or the end of its line and the blanks there.
  void escape(bool long_form) {
    pass(1);
    expect_ascii("this character cannot follow a backslash");
    const std::size_t blanks = run_of(kBlank);
    if (blanks == 0) return pass(1);
    if (!long_form) return;  // toml++ says what is wrong
    pass(blanks);
    if (beyond_ascii()) pass_as_escape();
  }

  void pass_as_escape() {
    const Character c = first_of(text_.substr(at_));
    if (c.bytes == 0) return;  // toml++ says what is wrong
    char text[16];
    std::snprintf(text, sizeof text, "\\U%08X", c.code);
    out_ += text;
    at_ += c.bytes;
  }

  void expect_ascii(const char* why) const {
    if (!beyond_ascii()) return;
    const std::string_view before = text_.substr(0, at_);
    const auto ends = std::count(before.begin(), before.end(), '\n');
    refuse(name_, static_cast<std::size_t>(ends) + 1, why);
  }

  std::string_view text_;
  const std::string& name_;
  std::size_t at_ = 0;
  std::string out_;
};

}  // namespace

toml::table parse_toml(const std::string& text, const std::string& name) {
  try {
    return toml::parse(Walk(text, name).safe_text(), name);
  } catch (const toml::parse_error& error) {
    refuse(name, error.source().begin.line, error.description());
  }
}

std::string formatted(const toml::node& value) {
  std::ostringstream out;
  out << toml::toml_formatter(value, toml::format_flags::none);  // no flags: a text stays on a line
  return out.str();
}

}  // namespace lockstep
