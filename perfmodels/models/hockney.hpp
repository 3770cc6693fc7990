// SPDX-License-Identifier: Apache-2.0
// Hockney's line, t = alpha + beta n, from what a profile knows of a link: its segments (a line for
// each range of sizes), else its medians, else its LogGP figures.
#pragma once

#include "collectives/links.hpp"
#include "perfmodels/machine/machine.hpp"

namespace lockstep {

// One message, alone: piecewise where the profile has segments. Not known: of value 0.
Figure message_seconds(const LinkProfile& link, double bytes);

struct Line {
  Figure alpha{}, beta{};
};
// One line for all sizes: a fit that weighs relative errors, so that small messages count as much
// as large ones; the segment itself where there is one only. Not known: of value 0.
Line line_of(const LinkProfile& link);

// alpha of LogGP's figures, L + o_send + o_recv - G, and its beta, G.
Line line_of(const LogGP& loggp);

}  // namespace lockstep
