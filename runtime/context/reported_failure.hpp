// SPDX-License-Identifier: Apache-2.0
// Another rank has said what is wrong, and it was not of the kind that the user can fix: the status
// of the job is that of the rank that has said it.
#pragma once

#include "runtime/base/error.hpp"

namespace lockstep {

class ReportedFailure : public ReportedError {
 public:
  using ReportedError::ReportedError;
};

}  // namespace lockstep
