// SPDX-License-Identifier: Apache-2.0
// Diagrams as SVG files, drawn by gnuplot where it is installed (Debian: gnuplot-nox).
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

namespace lockstep {

struct PlotPoint {
  double x = 0, y = 0;
  std::string label{};  // a number stands beside the point, and what it is in the margin
};

struct Series {
  enum class Style : std::uint8_t { points, line, line_and_points, dotted };
  std::string title{};  // of the legend; empty: not in it
  Style style = Style::line;
  std::vector<PlotPoint> points{};
};

enum class Scale : std::uint8_t { linear, logarithmic };

struct Plot {
  std::string title{}, x_label{}, y_label{};
  Scale x_scale = Scale::logarithmic, y_scale = Scale::logarithmic;
  std::vector<Series> series{};
};

// What gnuplot is told. Points that a logarithmic scale cannot show are left out.
std::string gnuplot_script(const Plot& plot, const std::string& svg_path);

enum class Drawn : std::uint8_t { yes, no_gnuplot };

// SystemError that names the file if it fails.
Drawn draw(const Plot& plot, const std::string& svg_path);

// For scripts that write `svg_path` themselves: a text as gnuplot takes it, in quotes (lines end
// with `line_end`: a space makes them one, "\\n" is gnuplot's end of a line), and what all diagrams
// have alike: the frame, and the colour of series i.
Drawn draw_script(const std::string& script, const std::string& svg_path);
std::string gnuplot_quoted(const std::string& text, const char* line_end = " ");
std::string plot_frame();
const char* plot_color(std::size_t i);

// What became of it, as a line for people: "the plot is in FILE".
std::string told(Drawn drawn, const std::string& svg_path);

}  // namespace lockstep
