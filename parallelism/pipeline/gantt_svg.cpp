// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <cmath>

#include "parallelism/pipeline/gantt.hpp"
#include "runtime/base/format.hpp"

namespace lockstep {

namespace {

constexpr double kLeft = 70, kTop = 64, kPlotWidth = 1200, kRight = 24;
constexpr double kRow = 30, kBox = 20, kMessageBar = 4;  // a stage, its passes, its messages
constexpr double kDigit = 6.2;                           // width of one, at the size of the boxes

struct Look {
  const char *label, *colour;
};

Look look_of(ActionKind kind) {
  switch (kind) {
    case ActionKind::forward:
      return {"forward", "#7fb3e6"};
    case ActionKind::backward_input:
      return {"backward of the input", "#f2b263"};
    case ActionKind::backward_weight:
      return {"gradient of the weights", "#8fcf8a"};
    case ActionKind::send_activation:
    case ActionKind::receive_activation:
      return {"activation in transit", "#3b6ea5"};
    default:
      return {"gradient in transit", "#b5651d"};
  }
}

// Chunks above the first are darker, so that they can be told apart.
double opacity_of(int chunk) {
  return std::max(0.4, 1 - 0.2 * chunk);
}

std::string escaped(const std::string& text) {
  std::string out;
  for (const char c : text) {
    if (c == '<')
      out += "&lt;";
    else if (c == '>')
      out += "&gt;";
    else if (c == '&')
      out += "&amp;";
    else
      out += c;
  }
  return out;
}

struct TimeUnit {
  const char* name;
  double seconds;
};

TimeUnit unit_of(double seconds) {
  if (seconds >= 1) return {"s", 1};
  return seconds >= 1e-3 ? TimeUnit{"ms", 1e-3} : TimeUnit{"us", 1e-6};
}

// 1, 2 or 5 times a power of ten, so that about ten of them fill `span`.
double tick_step(double span) {
  const double power = std::pow(10, std::floor(std::log10(span / 10)));
  for (const double factor : {1.0, 2.0, 5.0})
    if (factor * power * 12 >= span) return factor * power;
  return 10 * power;
}

class Drawing {
 public:
  Drawing(const std::vector<GanttSpan>& spans, const std::string& title) : spans_(spans) {
    for (const GanttSpan& span : spans) {
      begin_ = std::min(begin_, span.begin);
      end_ = std::max(end_, span.end);
      num_stages_ = std::max(num_stages_, span.stage + 1);
    }
    if (end_ <= begin_) end_ = begin_ + 1;
    head(title);
    legend();
    axis();
    for (int s = 0; s < num_stages_; ++s)
      text(kLeft - 8, row(s) + kBox - 5, "end", "stage " + std::to_string(s));
    for (const GanttSpan& span : spans)
      is_compute(span.kind) ? box(span) : bar(span);
    svg_ += "</svg>\n";
  }

  const std::string& svg() const { return svg_; }

 private:
  double x(double time) const { return kLeft + (time - begin_) / (end_ - begin_) * kPlotWidth; }
  double row(int stage) const { return kTop + kRow * stage; }
  double bottom() const { return kTop + kRow * num_stages_; }

  void text(double at_x, double at_y, const char* anchor, const std::string& what) {
    svg_ += format("<text x=\"%.1f\" y=\"%.1f\" text-anchor=\"%s\">%s</text>\n", at_x, at_y, anchor,
                   escaped(what).c_str());
  }

  void rectangle(double at_x, double at_y, double width, double height, const char* style) {
    svg_ += format("<rect x=\"%.2f\" y=\"%.1f\" width=\"%.2f\" height=\"%.1f\" %s/>\n", at_x, at_y,
                   width, height, style);
  }

  void head(const std::string& title) {
    svg_ = format(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"%.0f\" height=\"%.0f\" "
        "font-family=\"sans-serif\" font-size=\"11\" fill=\"#222\">\n"
        "<rect width=\"100%%\" height=\"100%%\" fill=\"white\"/>\n"
        "<text x=\"%.0f\" y=\"22\" font-size=\"15\">%s</text>\n",
        kLeft + kPlotWidth + kRight, bottom() + 44, kLeft, escaped(title).c_str());
  }

  // Of the kinds that occur.
  void legend() {
    double at = kLeft;
    for (const ActionKind kind :
         {ActionKind::forward, ActionKind::backward_input, ActionKind::backward_weight,
          ActionKind::send_activation, ActionKind::send_gradient}) {
      if (std::none_of(spans_.begin(), spans_.end(),
                       [&](const GanttSpan& span) { return span.kind == kind; })) {
        continue;
      }
      const Look look = look_of(kind);
      rectangle(at, 36, 12, 12, format("fill=\"%s\"", look.colour).c_str());
      text(at + 17, 46, "start", look.label);
      at += 40 + kDigit * static_cast<double>(std::string(look.label).size());
    }
  }

  void axis() {
    const TimeUnit unit = unit_of(end_ - begin_);
    const double span = (end_ - begin_) / unit.seconds, step = tick_step(span);
    for (int i = 0; i * step <= span * (1 + 1e-9); ++i) {
      const double at = x(begin_ + i * step * unit.seconds);
      rectangle(at, kTop - 4, 1, bottom() - kTop + 8, "fill=\"#ddd\"");
      text(at, bottom() + 18, "middle", format("%g", i * step));
    }
    text(kLeft + kPlotWidth / 2, bottom() + 36, "middle", std::string("time (") + unit.name + ")");
  }

  void box(const GanttSpan& span) {
    const double left = x(span.begin), width = x(span.end) - left;
    rectangle(left, row(span.stage), width, kBox,
              format("fill=\"%s\" fill-opacity=\"%.2g\" stroke=\"white\" stroke-width=\"%.1f\"",
                     look_of(span.kind).colour, opacity_of(span.chunk), width > 4 ? 1.0 : 0.0)
                  .c_str());
    std::string label = std::to_string(span.micro_batch);
    if (span.chunk > 0) label += "." + std::to_string(span.chunk);
    if (kDigit * static_cast<double>(label.size()) + 2 <= width)
      text(left + width / 2, row(span.stage) + kBox - 6, "middle", label);
  }

  void bar(const GanttSpan& span) {
    const double left = x(span.begin), width = std::max(1.0, x(span.end) - left);
    rectangle(left, row(span.stage) + kBox + 1, width, kMessageBar,
              format("fill=\"%s\"", look_of(span.kind).colour).c_str());
  }

  const std::vector<GanttSpan>& spans_;
  double begin_ = 1e300, end_ = -1e300;
  int num_stages_ = 0;
  std::string svg_;
};

}  // namespace

std::string gantt_svg(const std::vector<GanttSpan>& spans, const std::string& title) {
  return spans.empty() ? "" : Drawing(spans, title).svg();
}

}  // namespace lockstep
