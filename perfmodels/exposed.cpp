// SPDX-License-Identifier: Apache-2.0
#include "perfmodels/exposed.hpp"

#include <algorithm>

namespace lockstep {

namespace {

// How much of `span` the kernels cover. Spans ascend: `next` moves along.
double covered(const Span& span, const std::vector<Span>& kernels, std::size_t& next) {
  while (next < kernels.size() && kernels[next].end <= span.begin)
    ++next;
  double hidden = 0;
  for (std::size_t k = next; k < kernels.size() && kernels[k].begin < span.end; ++k)
    hidden += std::min(kernels[k].end, span.end) - std::max(kernels[k].begin, span.begin);
  return hidden;
}

}  // namespace

CommunicationSeconds add_communication(std::map<std::string, CommunicationSeconds>& axes,
                                       std::vector<AxisSpan> sent, const std::vector<Span>& kernels,
                                       double share) {
  std::stable_sort(sent.begin(), sent.end(), [](const AxisSpan& a, const AxisSpan& b) {
    return a.span.begin < b.span.begin;
  });
  CommunicationSeconds all;
  double until = 0;
  std::size_t next = 0;
  for (auto [span, group] : sent) {
    CommunicationSeconds& axis = axes[group ? group->name : "local"];
    span.begin = std::max(span.begin, until);
    if (span.end <= span.begin) continue;
    until = span.end;
    const double hidden = covered(span, kernels, next), exposed = span.seconds() - hidden;
    axis.hidden += share * hidden;
    axis.exposed += share * exposed;
    all.hidden += hidden;
    all.exposed += exposed;
  }
  return all;
}

}  // namespace lockstep
