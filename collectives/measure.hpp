// SPDX-License-Identifier: Apache-2.0
// Measures the constants of links.hpp where the ranks of a job lie, at its start.
//
// Every rank exchanges with one neighbour on its node and with one on the next node, all pairs at
// once: that is what a step of a collective looks like, contention included, and it takes as long
// for a thousand ranks as for two. alpha and beta are a fit of the medians that weighs relative
// errors, so that small messages count as much as large ones. Every number is the mean over the
// ranks that measured it, the same bits on all ranks: choices must not differ between them.
// A level that does not exist (one node, no shared memory) keeps its defaults.
#pragma once

#include "collectives/links.hpp"
#include "collectives/transport.hpp"

namespace lockstep {

// Collective. Takes about `budget_seconds`, more where ranks outnumber cores.
Links measure_links(Transport& net, double budget_seconds);
// The same without messages: gamma, and what is done in shared memory. Collective.
Links measure_local_steps(Transport& net);

}  // namespace lockstep
