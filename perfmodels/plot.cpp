// SPDX-License-Identifier: Apache-2.0
#include "perfmodels/plot.hpp"

#include <algorithm>
#include <cmath>
#include <csignal>
#include <cstdio>
#include <fstream>
#include <iterator>
#include <limits>
#include <string_view>

#include "runtime/base/error.hpp"
#include "runtime/base/format.hpp"

namespace lockstep {

namespace {

constexpr int kNotFound = 127;  // the shell's status for a command that is not there

std::string look_of(const Series& series, std::size_t i) {
  constexpr const char* kNames[] = {"points pt 7 ps 0.6", "lines lw 2",
                                    "linespoints lw 2 pt 7 ps 0.7", "lines lw 1.5 dt 3"};
  const bool dotted = series.style == Series::Style::dotted;
  return format("%s lc rgb '%s'", kNames[static_cast<int>(series.style)],
                dotted ? "#888888" : plot_color(i));
}

bool shows(const Plot& plot, const PlotPoint& p) {
  const auto shows = [](Scale scale, double value) {
    return std::isfinite(value) && (scale == Scale::linear || value > 0);
  };
  return shows(plot.x_scale, p.x) && shows(plot.y_scale, p.y);
}

std::string block_of(const Plot& plot, const Series& series, std::size_t i) {
  std::string text = format("$data%zu << EOD\n", i);
  for (const PlotPoint& p : series.points) {
    if (shows(plot, p)) text += format("%.9g %.9g\n", p.x, p.y);
  }
  return text + "EOD\n";
}

std::string curve_of(const Series& series, std::size_t i) {
  const std::string title =
      series.title.empty() ? "notitle" : "title " + gnuplot_quoted(series.title);
  return format("$data%zu using 1:2 with %s ", i, look_of(series, i).c_str()) + title;
}

// An axis with room around what it shows, as a share of it.
struct Axis {
  static constexpr double kRoom = 0.04, kRoomForMarks = 0.16;
  Scale scale;
  double low = std::numeric_limits<double>::infinity(), high = -low;

  void add(double value) {
    low = std::min(low, value);
    high = std::max(high, value);
  }
  double along(double value) const { return scale == Scale::linear ? value : std::log10(value); }
  double length() const { return along(high) - along(low); }
  std::string text(char name, double above = kRoom) const {
    const bool log = scale == Scale::logarithmic;
    std::string all = log ? format("set logscale %c\n", name) : "";
    if (!(length() > 0)) return all;
    const auto back = [&](double at) { return log ? std::pow(10, at) : at; };
    return all + format("set %crange [%.9g:%.9g]\n", name, back(along(low) - kRoom * length()),
                        back(along(high) + above * length()));
  }
};

// Points with a label have a number, those that lie on each other share a place for theirs.
struct Mark {
  PlotPoint at;
  std::vector<std::size_t> numbers;

  // "3", "4-6", "4-6, 9"
  std::string text() const {
    std::string all;
    for (std::size_t begin = 0, end = 0; begin < numbers.size(); begin = end) {
      for (end = begin + 1; end < numbers.size() && numbers[end] == numbers[end - 1] + 1;)
        ++end;
      all += (all.empty() ? "" : ", ") + std::to_string(numbers[begin]);
      if (end - begin > 1) all += "-" + std::to_string(numbers[end - 1]);
    }
    return all;
  }
};

std::string marks_of(const Plot& plot, const Axis& x, const Axis& y) {
  constexpr double kNear = 0.045;  // of the length of an axis
  std::vector<PlotPoint> points;
  for (const Series& series : plot.series) {
    for (const PlotPoint& p : series.points)
      if (shows(plot, p) && !p.label.empty()) points.push_back(p);
  }
  std::sort(points.begin(), points.end(), [](const auto& a, const auto& b) { return a.x < b.x; });

  std::vector<Mark> marks;
  std::string names;
  for (std::size_t i = 0; i < points.size(); ++i) {
    const PlotPoint& p = points[i];
    const std::size_t number = i + 1;
    names += (i ? "\n" : "") + std::to_string(number) + "  " + p.label;
    const auto near = [&](const Mark& m) {
      return std::abs(x.along(m.at.x) - x.along(p.x)) <= kNear * x.length() &&
             std::abs(y.along(m.at.y) - y.along(p.y)) <= kNear * y.length();
    };
    const auto found = std::find_if(marks.begin(), marks.end(), near);
    if (found != marks.end()) found->numbers.push_back(number);
    if (found == marks.end()) marks.push_back({p, {number}});
  }
  if (marks.empty()) return "";
  std::string text = "set rmargin at screen 0.76\nset label " + gnuplot_quoted(names, "\\n") +
                     " at graph 1.03, graph 0.98 left font 'sans,10'\n";
  for (const Mark& m : marks) {
    text +=
        "set label " + gnuplot_quoted(m.text()) +
        format(" at %.9g, %.9g left rotate by 60 offset 0,0.5 font 'sans,10'\n", m.at.x, m.at.y);
  }
  return text;
}

// gnuplot says nothing of a full disk.
bool ends_as_svg(const std::string& path) {
  constexpr std::string_view kEnd = "</svg>";
  std::ifstream file(path, std::ios::binary | std::ios::ate);
  const std::streamoff size = file.tellg(), last = std::min<std::streamoff>(size, 64);
  if (!file || size <= 0) return false;
  std::string tail(static_cast<std::size_t>(last), ' ');
  file.seekg(size - last);
  file.read(tail.data(), last);
  return tail.find(kEnd) != std::string::npos;
}

// A pipe to a command that ends before it has read all must not end us.
class IgnorePipeSignal {
 public:
  IgnorePipeSignal() : before_(std::signal(SIGPIPE, SIG_IGN)) {}
  ~IgnorePipeSignal() { std::signal(SIGPIPE, before_); }
  IgnorePipeSignal(const IgnorePipeSignal&) = delete;
  IgnorePipeSignal& operator=(const IgnorePipeSignal&) = delete;

 private:
  void (*before_)(int);
};

}  // namespace

std::string gnuplot_quoted(const std::string& text, const char* line_end) {
  std::string all = "\"";
  for (const char c : text) {
    if (c == '"' || c == '\\') all += '\\';
    all += c == '\n' ? std::string(line_end) : std::string(1, c);
  }
  return all + "\"";
}

std::string plot_frame() {
  return "set border 3 lc rgb '#666666'\nset tics nomirror textcolor rgb '#333333'\n";
}

const char* plot_color(std::size_t i) {
  // M. Okabe, K. Ito, "Color universal design", 2008: told apart by all eyes, and in grey.
  constexpr const char* kColors[] = {"#0072B2", "#D55E00", "#009E73", "#CC79A7",
                                     "#E69F00", "#56B4E9", "#7A7A7A", "#000000"};
  return kColors[i % std::size(kColors)];
}

std::string gnuplot_script(const Plot& plot, const std::string& svg_path) {
  Axis x{plot.x_scale}, y{plot.y_scale};
  std::string blocks, curves;
  for (std::size_t i = 0; i < plot.series.size(); ++i) {
    for (const PlotPoint& p : plot.series[i].points) {
      if (!shows(plot, p)) continue;
      x.add(p.x);
      y.add(p.y);
    }
    blocks += block_of(plot, plot.series[i], i);
    curves += (i ? ", " : "") + curve_of(plot.series[i], i);
  }
  const std::string marks = marks_of(plot, x, y);
  return "set terminal svg noenhanced size 900,600 font 'sans,12' background 'white'\nset output " +
         gnuplot_quoted(svg_path) + "\nset title " + gnuplot_quoted(plot.title) + "\nset xlabel " +
         gnuplot_quoted(plot.x_label) + "\nset ylabel " + gnuplot_quoted(plot.y_label) + "\n" +
         plot_frame() +
         "set grid lc rgb '#dddddd' lt 1\n"
         "set key tmargin center horizontal maxrows 3 samplen 2\nset format '%g'\n" +
         x.text('x') + y.text('y', marks.empty() ? Axis::kRoom : Axis::kRoomForMarks) + marks +
         blocks + "plot " + curves + "\n";
}

Drawn draw(const Plot& plot, const std::string& svg_path) {
  return draw_script(gnuplot_script(plot, svg_path), svg_path);
}

Drawn draw_script(const std::string& script, const std::string& svg_path) {
  const IgnorePipeSignal guard;
  std::FILE* pipe = popen("exec gnuplot >/dev/null 2>&1", "w");  // NOLINT(cert-env33-c)
  if (!pipe) throw_errno("popen gnuplot");
  std::fputs(script.c_str(), pipe);
  const int status = pclose(pipe);
  if (status >= 0 && status >> 8 == kNotFound) return Drawn::no_gnuplot;
  if (status != 0 || !ends_as_svg(svg_path)) {
    throw SystemError("gnuplot could not draw " + svg_path +
                      ": can it be written, is there room on the disk?");
  }
  return Drawn::yes;
}

std::string told(Drawn drawn, const std::string& svg_path) {
  if (drawn == Drawn::yes) return "the plot is in " + svg_path;
  return "no plot: gnuplot is not installed (Debian, Ubuntu: apt-get install gnuplot-nox)";
}

}  // namespace lockstep
