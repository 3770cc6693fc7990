// SPDX-License-Identifier: Apache-2.0
// The one clock of the project: seconds, monotonic, of this node.
#pragma once

namespace lockstep {

double now();

}  // namespace lockstep
