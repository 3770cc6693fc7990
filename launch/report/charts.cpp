// SPDX-License-Identifier: Apache-2.0
#include "launch/report/charts.hpp"

#include <algorithm>
#include <cmath>
#include <limits>
#include <set>

#include "launch/experiment/parts.hpp"
#include "perfmodels/plot.hpp"
#include "runtime/base/format.hpp"

namespace lockstep {

namespace {

// Of the parts of a step, in their order.
constexpr const char* kPartColors[] = {"#56B4E9", "#009E73", "#D55E00",
                                       "#E69F00", "#CC79A7", "#BBBBBB"};
static_assert(std::size(kPartColors) == kNumParts);

const char* part_color_of(std::size_t i) {
  return kPartColors[i % std::size(kPartColors)];
}

std::string head_of(const std::string& svg_path, const std::string& title, int height) {
  return format(
             "set terminal svg noenhanced dynamic size 820,%d font 'Helvetica,14' background "
             "'white'\nset output ",
             height) +
         gnuplot_quoted(svg_path) + "\nset title " + gnuplot_quoted(title) + "\n" + plot_frame() +
         "set grid ytics lc rgb '#dddddd' lt 1\n"
         "set key tmargin center horizontal maxrows 3 samplen 2 spacing 1.1\n";
}

// The end of an interval counts up to three times the highest point: of a profile that was measured
// on a busy machine it may be thousands of times as high, and nothing else would be seen.
struct Range {
  static constexpr double kHighestInterval = 3;
  double low = std::numeric_limits<double>::infinity(), high = 0, interval = 0;
  void add(double value) {
    if (!(value > 0) || !std::isfinite(value)) return;
    low = std::min(low, value);
    high = std::max(high, value);
  }
  void add(const ChartPoint& p) {
    add(p.y);
    if (p.high > p.low) interval = std::max(interval, p.high);
  }
  double top() const { return std::max(high, std::min(interval, kHighestInterval * high)); }
};

std::string ranks_axis(const std::vector<Curve2d>& curves) {
  std::set<double> counts;
  for (const Curve2d& curve : curves) {
    for (const ChartPoint& p : curve.points) {
      if (curve.look != Curve2d::Look::ideal) counts.insert(p.x);
    }
  }
  if (counts.empty()) return "";
  std::string tics, text = "set logscale x 2\n";
  double before = 0;
  for (const double x : counts) {
    if (before > 0 && x / before < 1.2) continue;  // its mark would cover the one before
    tics += format("%s'%.0f' %.0f", tics.empty() ? "" : ", ", x, x);
    before = x;
  }
  return text + "set xtics (" + tics + ")\n" +
         format("set xrange [%.9g:%.9g]\n", *counts.begin() / 1.25, *counts.rbegin() * 1.25);
}

// 1, 2 and 5 of each decade, as long as there are few: with the decades alone most points lie
// between two marks or none.
std::string log_marks(double low, double high) {
  constexpr double kFewDecades = 3;
  if (std::log10(high / low) > kFewDecades) return "";
  std::string marks;
  for (double decade = std::pow(10, std::floor(std::log10(low))); decade <= high; decade *= 10) {
    for (const double mark : {decade, 2 * decade, 5 * decade}) {
      if (mark >= low && mark <= high) marks += format("%s%.9g", marks.empty() ? "" : ", ", mark);
    }
  }
  return "set ytics (" + marks + ")\n";
}

std::string y_axis(const Range& y) {
  if (y.high == 0) return "";
  constexpr double kWide = 20;
  if (y.high / y.low <= kWide)
    return format("set yrange [0:%.9g]\nset format y '%%g'\n", 1.12 * y.top());
  const double low = y.low / 1.5, high = y.top() * 1.5;
  return format("set logscale y\nset yrange [%.9g:%.9g]\nset format y '%%g'\n", low, high) +
         log_marks(low, high);
}

const char* look_of(Curve2d::Look look) {
  constexpr const char* kLooks[] = {"linespoints lw 2 pt 7 ps 0.7",
                                    "linespoints lw 2 dt 2 pt 6 ps 0.7", "lines lw 1.5 dt 3",
                                    "lines lw 2"};
  return kLooks[static_cast<int>(look)];
}

std::string block_of(const Curve2d& curve, std::size_t i) {
  std::string text = format("$c%zu << EOD\n", i);
  for (const ChartPoint& p : curve.points) {
    if (!std::isfinite(p.y)) continue;
    const bool interval = p.high > p.low;
    text +=
        format("%.9g %.9g %.9g %.9g\n", p.x, p.y, interval ? p.low : p.y, interval ? p.high : p.y);
  }
  return text + "EOD\n";
}

// Intervals first, so that they do not cover what they belong to.
std::string curve_of(const Curve2d& curve, std::size_t i) {
  const char* color = curve.look == Curve2d::Look::ideal ? "#888888" : plot_color(curve.color);
  const std::string title =
      curve.title.empty() ? "notitle" : "title " + gnuplot_quoted(curve.title);
  const std::string line =
      format("$c%zu using 1:2 with %s lc rgb '%s' ", i, look_of(curve.look), color) + title;
  const bool intervals = std::any_of(curve.points.begin(), curve.points.end(),
                                     [](const ChartPoint& p) { return p.high > p.low; });
  if (!intervals) return line;
  return format("$c%zu using 1:2:3:4 with yerrorbars lw 1.5 ps 0 lc rgb '%s' notitle, ", i, color) +
         line;
}

// A label of two lines where it is long.
std::string folded(const std::string& label, std::size_t width) {
  std::string text, line;
  for (std::size_t begin = 0; begin <= label.size();) {
    const std::size_t space = std::min(label.find(' ', begin), label.size());
    const std::string word = label.substr(begin, space - begin);
    if (!line.empty() && line.size() + word.size() >= width) {
      text += line + "\n";
      line.clear();
    }
    line += (line.empty() ? "" : " ") + word;
    begin = space + 1;
  }
  return text + line;
}

std::string quoted_label(const std::string& label, std::size_t width) {
  return gnuplot_quoted(folded(label, width), "\\n");
}

std::size_t label_width(std::size_t groups) {
  return std::max<std::size_t>(7, 76 / std::max<std::size_t>(groups, 1));
}

int bottom_margin(std::size_t groups) {
  return groups > 8 ? 9 : 3;
}

std::string label_tics(const std::vector<std::pair<double, std::string>>& labels) {
  std::string tics;
  for (const auto& [x, label] : labels)
    tics += format(
        "%s%s %.9g", tics.empty() ? "" : ", ",
        quoted_label(label, labels.size() > 8 ? 100 : label_width(labels.size())).c_str(), x);
  return "set xtics (" + tics + ")" + (labels.size() > 8 ? " rotate by -35 left" : "") +
         " scale 0\n" + format("set bmargin %d\n", bottom_margin(labels.size()));
}

std::string box(double left, double right, double low, double high) {
  return format("%.9g %.9g %.9g %.9g %.9g %.9g\n", (left + right) / 2, (low + high) / 2, left,
                right, low, high);
}

std::string boxes(const std::string& block, const std::string& color, const std::string& fill,
                  const std::string& title) {
  return "$" + block + " using 1:2:3:4:5:6 with boxxyerror fs " + fill + " lc rgb '" + color +
         "' " + (title.empty() ? "notitle" : "title " + gnuplot_quoted(title));
}

std::string joined(const std::vector<std::string>& parts) {
  std::string text;
  for (const std::string& part : parts)
    text += (text.empty() ? "" : ", \\\n  ") + part;
  return text;
}

constexpr double kNothing = -1e9;  // outside every range: keeps an entry of the legend

}  // namespace

std::string script_of(const CurveChart& chart, const std::string& svg_path) {
  std::string text = head_of(svg_path, chart.title, 440);
  text += "set xlabel " + gnuplot_quoted(chart.x_label) + "\nset ylabel " +
          gnuplot_quoted(chart.y_label) + "\n";
  if (chart.ranks_axis) text += ranks_axis(chart.curves);
  Range y;
  std::vector<std::string> curves;
  for (std::size_t i = 0; i < chart.curves.size(); ++i) {
    for (const ChartPoint& p : chart.curves[i].points)
      y.add(p);
    text += block_of(chart.curves[i], i);
    curves.push_back(curve_of(chart.curves[i], i));
  }
  return text + y_axis(y) + "plot " + joined(curves) + "\n";
}

std::string script_of(const BarChart& chart, const std::string& svg_path) {
  std::string text =
      head_of(svg_path, chart.title, 440) + "set ylabel " + gnuplot_quoted(chart.y_label) + "\n";
  const double width = 0.8 / static_cast<double>(std::max<std::size_t>(chart.titles.size(), 1));
  Range y;
  std::vector<std::pair<double, std::string>> labels;
  std::vector<std::string> blocks(chart.titles.size()), intervals(chart.titles.size());
  for (std::size_t g = 0; g < chart.groups.size(); ++g) {
    const BarGroup& group = chart.groups[g];
    labels.emplace_back(static_cast<double>(g), group.label);
    for (std::size_t b = 0; b < group.bars.size(); ++b) {
      const ChartPoint& bar = group.bars[b];
      const double left = static_cast<double>(g) - 0.4 + width * static_cast<double>(b);
      if (bar.y <= 0) continue;
      blocks[b] += box(left, left + 0.92 * width, 0, bar.y);
      y.add(bar);
      if (bar.high > bar.low)
        intervals[b] +=
            format("%.9g %.9g %.9g %.9g\n", left + 0.46 * width, bar.y, bar.low, bar.high);
    }
  }
  std::vector<std::string> plots;
  for (std::size_t b = 0; b < chart.titles.size(); ++b) {
    text += format("$b%zu << EOD\n", b) +
            (blocks[b].empty() ? box(kNothing, kNothing, kNothing, kNothing) : blocks[b]) + "EOD\n";
    const std::size_t color = chart.first_color + b;
    plots.push_back(boxes(format("b%zu", b), plot_color(color), color ? "solid 0.55" : "solid 0.9",
                          chart.titles[b]));
    if (intervals[b].empty()) continue;
    text += format("$i%zu << EOD\n", b) + intervals[b] + "EOD\n";
    plots.push_back(
        format("$i%zu using 1:2:3:4 with yerrorbars ps 0 lw 1.5 lc rgb '#222222' notitle", b));
  }
  text +=
      label_tics(labels) + format("set xrange [-0.6:%.9g]\nset yrange [0:%.9g]\n",
                                  static_cast<double>(chart.groups.size()) - 0.4, 1.12 * y.top());
  return text + "plot " + joined(plots) + "\n";
}

std::string script_of(const StackChart& chart, const std::string& svg_path) {
  std::string text =
      head_of(svg_path, chart.title, 480) + "set ylabel " + gnuplot_quoted(chart.y_label) + "\n";
  std::vector<std::string> blocks(chart.parts.size());
  std::vector<std::pair<double, std::string>> labels;
  std::vector<int> in_group(chart.groups.size(), 0);
  for (const Stack& stack : chart.stacks)
    ++in_group[stack.group];
  double highest = 0;
  std::vector<int> seen(chart.groups.size(), 0);
  std::string names;
  for (const Stack& stack : chart.stacks) {
    const int count = in_group[stack.group], at = seen[stack.group]++;
    const double width = 0.8 / count;
    const double left = static_cast<double>(stack.group) - 0.4 + width * at;
    double low = 0;
    for (std::size_t i = 0; i < stack.parts.size(); ++i) {
      if (stack.parts[i] <= 0) continue;
      blocks[i] += box(left, left + 0.92 * width, low, low + stack.parts[i]);
      low += stack.parts[i];
    }
    highest = std::max(highest, low);
    names +=
        format("set label %s at %.9g,%.9g center offset 0,0.6 font ',11' textcolor rgb '#555555'\n",
               gnuplot_quoted(stack.label).c_str(), left + 0.46 * width, low);
  }
  for (std::size_t g = 0; g < chart.groups.size(); ++g)
    labels.emplace_back(static_cast<double>(g), chart.groups[g]);
  std::vector<std::string> plots;
  for (std::size_t i = 0; i < blocks.size(); ++i) {
    if (blocks[i].empty()) continue;
    text += format("$p%zu << EOD\n", i) + blocks[i] + "EOD\n";
    plots.push_back(boxes(format("p%zu", i), part_color_of(i), "solid 1", chart.parts[i]));
  }
  text += label_tics(labels) + names +
          format("set xrange [-0.6:%.9g]\nset yrange [0:%.9g]\n",
                 static_cast<double>(chart.groups.size()) - 0.4, 1.15 * highest);
  return text + "plot " + joined(plots) + "\n";
}

std::string script_of(const Timeline& chart, const std::string& svg_path) {
  const int height = 130 + 34 * static_cast<int>(chart.rows.size());
  std::string text = head_of(svg_path, chart.title, height) + "set xlabel " +
                     gnuplot_quoted(chart.x_label) +
                     "\nunset grid\nset key width -4\n";  // gnuplot drops what does not fit
  std::vector<std::string> blocks(chart.kinds.size());
  double end = 0;
  for (const TimelineBar& bar : chart.bars) {
    const double y = -static_cast<double>(bar.row);
    blocks[bar.kind] += box(bar.begin, bar.end, y - 0.38, y + 0.38);
    end = std::max(end, bar.end);
  }
  std::string tics;
  for (std::size_t r = 0; r < chart.rows.size(); ++r)
    tics += format("%s%s %d", r ? ", " : "", gnuplot_quoted(chart.rows[r]).c_str(),
                   -static_cast<int>(r));
  std::vector<std::string> plots;
  for (std::size_t k = 0; k < chart.kinds.size(); ++k) {
    if (blocks[k].empty()) continue;
    text += format("$k%zu << EOD\n", k) + blocks[k] + "EOD\n";
    plots.push_back(boxes(format("k%zu", k), plot_color(k), "solid 1 noborder", chart.kinds[k]));
  }
  text += "set ytics (" + tics + ") scale 0\n" +
          format("set xrange [0:%.9g]\nset yrange [%.9g:0.6]\n", 1.01 * end,
                 0.4 - static_cast<double>(chart.rows.size()));
  return text + "plot " + joined(plots) + "\n";
}

}  // namespace lockstep
