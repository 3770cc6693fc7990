// SPDX-License-Identifier: Apache-2.0
// The diagrams of reports, drawn by gnuplot: curves with intervals, bars beside each other, stacked
// bars, and a timeline. Each is what gnuplot is told; the caller has it drawn.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace lockstep {

struct ChartPoint {
  double x = 0, y = 0;
  double low = 0, high = 0;  // low == high: no interval
};

struct Curve2d {
  enum class Look : std::uint8_t { measured, predicted, ideal, plain };
  std::string title{};
  Look look = Look::plain;
  int color = 0;  // curves of one series share a colour
  std::vector<ChartPoint> points{};
};

struct CurveChart {
  std::string title{}, x_label{}, y_label{};
  bool ranks_axis = false;  // x: rank counts, each with a mark of its own, logarithmic
  std::vector<Curve2d> curves{};
};
// y from 0, or logarithmic where values differ more than twentyfold.
std::string script_of(const CurveChart& chart, const std::string& svg_path);

struct BarGroup {
  std::string label{};
  std::vector<ChartPoint> bars{};  // one of each title; y == 0: absent
};
struct BarChart {
  std::string title{}, y_label{};
  std::vector<std::string> titles{};
  std::vector<BarGroup> groups{};
  std::size_t first_color = 0;  // of the first title
};
std::string script_of(const BarChart& chart, const std::string& svg_path);

struct Stack {
  std::string label{};          // below it
  std::size_t group = 0;        // stacks of a group stand together
  std::vector<double> parts{};  // from the bottom
};
struct StackChart {
  std::string title{}, y_label{};
  std::vector<std::string> parts{}, groups{};  // what they are called
  std::vector<Stack> stacks{};
};
std::string script_of(const StackChart& chart, const std::string& svg_path);

struct TimelineBar {
  double begin = 0, end = 0;
  std::size_t row = 0, kind = 0;
};
struct Timeline {
  std::string title{}, x_label{};
  std::vector<std::string> rows{}, kinds{};  // rows from the top
  std::vector<TimelineBar> bars{};
};
std::string script_of(const Timeline& chart, const std::string& svg_path);

}  // namespace lockstep
