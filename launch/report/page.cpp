// SPDX-License-Identifier: Apache-2.0
#include "launch/report/page.hpp"

#include "launch/build_facts.hpp"

namespace lockstep {

namespace {

constexpr const char* kStyle = R"(
body { font: 15px/1.5 system-ui, "Helvetica Neue", Arial, sans-serif; color: #1a1a1a; background: #fff;
  max-width: 60rem; margin: 2rem auto; padding: 0 1.25rem; }
h1 { font-size: 1.7rem; line-height: 1.2; margin: 0 0 1rem; }
h2 { font-size: 1.2rem; margin: 2rem 0 .5rem; border-bottom: 1px solid #ccc; padding-bottom: .2rem; }
p, ul { margin: .5rem 0; }
.note { color: #555; font-size: .87rem; }
table { border-collapse: collapse; font-size: .87rem; margin: .75rem 0; }
.wide { overflow-x: auto; }
th, td { padding: .25rem .7rem; text-align: right; vertical-align: top; border-bottom: 1px solid #e2e2e2;
  font-variant-numeric: tabular-nums; }
th { border-bottom: 2px solid #999; font-weight: 600; vertical-align: bottom; }
th.t, td.t { text-align: left; }
td { white-space: nowrap; } td.t { white-space: normal; min-width: 6rem; }
pre { background: #f5f5f5; padding: .7rem .9rem; font-size: .8rem; white-space: pre-wrap; overflow-wrap: anywhere; }
figure { margin: 1rem 0; }
figure svg { width: 100%; height: auto; display: block; }
figcaption { color: #555; font-size: .87rem; margin-top: .2rem; }
.holds { color: #00694a; font-weight: 600; } .fails { color: #a3360b; font-weight: 600; }
@page { size: A4; margin: 16mm; }
@media print {
  body { font-size: 10.5pt; max-width: none; margin: 0; padding: 0; }
  figure, table, pre, h2, li, tr { break-inside: avoid; } h2 { break-after: avoid; }
  .wide + .note, pre { break-before: avoid; }
  table, .note, figcaption { font-size: 8.5pt; } th, td { padding: .15rem .4rem; }
  figure svg { max-height: 74mm; } figure { margin: .6rem 0; } .wide { overflow: visible; }
}
)";

void replace_all(std::string& text, const std::string& from, const std::string& to) {
  for (std::size_t at = text.find(from); at != std::string::npos;
       at = text.find(from, at + to.size()))
    text.replace(at, from.size(), to);
}

}  // namespace

std::string escaped(const std::string& text) {
  std::string all;
  for (const char c : text) {
    switch (c) {
      case '&':
        all += "&amp;";
        break;
      case '<':
        all += "&lt;";
        break;
      case '>':
        all += "&gt;";
        break;
      case '"':
        all += "&quot;";
        break;
      default:
        all += c;
    }
  }
  return all;
}

std::string embedded_svg(const std::string& document, const std::string& prefix) {
  const std::size_t begin = document.find("<svg");
  if (begin == std::string::npos) return "";
  std::string svg = document.substr(begin);
  for (const char quote : {'\'', '"'}) {
    const std::string q(1, quote);
    replace_all(svg, " id=" + q, " id=" + q + prefix);
    replace_all(svg, "href=" + q + "#", "href=" + q + "#" + prefix);
  }
  replace_all(svg, "url(#", "url(#" + prefix);
  return svg;
}

void Page::heading(const std::string& text) {
  body_ += "<h2>" + escaped(text) + "</h2>\n";
}

void Page::paragraph(const std::string& text) {
  body_ += "<p>" + escaped(text) + "</p>\n";
}

void Page::note(const std::string& text) {
  body_ += "<p class=\"note\">" + escaped(text) + "</p>\n";
}

void Page::list(const std::vector<std::string>& items) {
  body_ += "<ul>\n";
  for (const std::string& item : items)
    body_ += "<li>" + escaped(item) + "</li>\n";
  body_ += "</ul>\n";
}

void Page::preformatted(const std::string& text) {
  body_ += "<pre>" + escaped(text) + "</pre>\n";
}

void Page::table(const std::vector<std::string>& head,
                 const std::vector<std::vector<std::string>>& rows, std::size_t text_columns) {
  const auto row_of = [&](const std::vector<std::string>& cells, const std::string& tag) {
    std::string row = "<tr>";
    for (std::size_t i = 0; i < cells.size(); ++i)
      row += "<" + tag + (i < text_columns ? " class=\"t\">" : ">") + escaped(cells[i]) + "</" +
             tag + ">";
    return row + "</tr>\n";
  };
  body_ += "<div class=\"wide\"><table>\n<thead>" + row_of(head, "th") + "</thead>\n<tbody>\n";
  for (const auto& row : rows)
    body_ += row_of(row, "td");
  body_ += "</tbody></table></div>\n";
}

void Page::figure(const std::string& svg, const std::string& caption,
                  const std::string& otherwise) {
  const std::string drawn = embedded_svg(svg, "f" + std::to_string(++figures_));
  body_ += "<figure>\n" + (drawn.empty() ? "<p>" + escaped(otherwise) + "</p>" : drawn) +
           "\n<figcaption>" + escaped(caption) + "</figcaption>\n</figure>\n";
}

std::string Page::html() const {
  return "<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n"
         "<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n<title>" +
         escaped(title_) + "</title>\n<style>" + kStyle + "</style>\n</head>\n<body>\n<h1>" +
         escaped(title_) + "</h1>\n" + body_ + "<p class=\"note\">Written by lockstep " +
         escaped(build_facts().version) + ".</p>\n</body>\n</html>\n";
}

}  // namespace lockstep
