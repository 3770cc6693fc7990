// SPDX-License-Identifier: Apache-2.0
#include "perfmodels/plot.hpp"

#include <algorithm>
#include <cmath>
#include <csignal>
#include <cstdio>
#include <fstream>
#include <string_view>

#include "runtime/base/error.hpp"
#include "runtime/base/format.hpp"

namespace lockstep {

namespace {

constexpr int kNotFound = 127;  // the shell's status for a command that is not there

const char* style_of(Series::Style style) {
  constexpr const char* kNames[] = {"points pt 7 ps 0.6", "lines lw 2", "linespoints lw 2 pt 7"};
  return kNames[static_cast<int>(style)];
}

bool shows(Scale scale, double value) {
  return std::isfinite(value) && (scale == Scale::linear || value > 0);
}

std::string block_of(const Plot& plot, const Series& series, std::size_t i) {
  std::string text = format("$data%zu << EOD\n", i);
  for (const PlotPoint& p : series.points) {
    if (!shows(plot.x_scale, p.x) || !shows(plot.y_scale, p.y)) continue;
    text += format("%.9g %.9g ", p.x, p.y) + gnuplot_quoted(p.label) + "\n";
  }
  return text + "EOD\n";
}

std::string curves_of(const Series& series, std::size_t i) {
  const std::string title =
      series.title.empty() ? "notitle" : "title " + gnuplot_quoted(series.title);
  std::string text =
      format("$data%zu using 1:2 with %s %s", i, style_of(series.style), title.c_str());
  bool labels = false;
  for (const PlotPoint& p : series.points)
    labels = labels || !p.label.empty();
  if (labels) text += format(", $data%zu using 1:2:3 with labels left offset 0.6,0.3 notitle", i);
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

std::string gnuplot_quoted(const std::string& text) {
  std::string all = "\"";
  for (const char c : text) {
    if (c == '"' || c == '\\') all += '\\';
    all += c == '\n' ? ' ' : c;
  }
  return all + "\"";
}

std::string gnuplot_script(const Plot& plot, const std::string& svg_path) {
  std::string text = "set terminal svg noenhanced size 900,600 font 'sans,12' background 'white'\n";
  text += "set output " + gnuplot_quoted(svg_path) + "\n";
  text += "set title " + gnuplot_quoted(plot.title) + "\nset xlabel " +
          gnuplot_quoted(plot.x_label) + "\nset ylabel " + gnuplot_quoted(plot.y_label) + "\n";
  if (plot.x_scale == Scale::logarithmic) text += "set logscale x\n";
  if (plot.y_scale == Scale::logarithmic) text += "set logscale y\n";
  text += "set format '%g'\nset grid\nset key left top\n";
  std::string curves;
  for (std::size_t i = 0; i < plot.series.size(); ++i) {
    text += block_of(plot, plot.series[i], i);
    curves += (i ? ", " : "") + curves_of(plot.series[i], i);
  }
  return text + "plot " + curves + "\n";
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
