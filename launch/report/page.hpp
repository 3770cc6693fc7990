// SPDX-License-Identifier: Apache-2.0
// One self-contained HTML page: text, tables and figures, for a browser and for paper.
#pragma once

#include <string>
#include <vector>

namespace lockstep {

class Page {
 public:
  explicit Page(std::string title) : title_(std::move(title)) {}

  void heading(const std::string& text);
  void paragraph(const std::string& text);
  void note(const std::string& text);  // smaller
  void list(const std::vector<std::string>& items);
  void preformatted(const std::string& text);
  // The first column is text, the others numbers unless `text_columns` says more.
  void table(const std::vector<std::string>& head,
             const std::vector<std::vector<std::string>>& rows, std::size_t text_columns = 1);
  // An SVG document as gnuplot writes it, or, where there is none, `otherwise`.
  void figure(const std::string& svg, const std::string& caption, const std::string& otherwise);

  std::string html() const;

 private:
  std::string title_, body_;
  int figures_ = 0;
};

// & < > " as HTML writes them.
std::string escaped(const std::string& text);

// The <svg> element of a document, its ids made its own: several of them share a page.
std::string embedded_svg(const std::string& document, const std::string& prefix);

}  // namespace lockstep
