// SPDX-License-Identifier: Apache-2.0
#include "slurm/shell.hpp"

#include "runtime/base/error.hpp"

namespace lockstep::slurm {

namespace {

constexpr const char* kPlain =
    "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_-+=:,./@%";

bool plain(const std::string& text) {
  return !text.empty() && text.find_first_not_of(kPlain) == std::string::npos;
}

}  // namespace

std::string shell_word(const std::string& text) {
  if (plain(text)) return text;
  std::string word = "'";
  for (const char letter : text)
    word += letter == '\'' ? std::string("'\\''") : std::string(1, letter);
  return word + "'";
}

std::string directive_value(const std::string& text) {
  if (plain(text)) return text;
  std::string value = "\"";
  for (const char letter : text) {
    if (letter == '"' || letter == '\\') value += '\\';
    value += letter;
  }
  return value + "\"";
}

void expect_one_line(const std::string& key, const std::string& text) {
  for (const char letter : text) {
    const auto code = static_cast<unsigned char>(letter);
    if (code >= 0x20 && code != 0x7f) continue;
    throw ConfigError(key + " holds a " + (letter == '\n' ? "newline" : "control character") +
                      "; use one line of printable text");
  }
}

}  // namespace lockstep::slurm
