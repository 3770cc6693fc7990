// SPDX-License-Identifier: Apache-2.0
// A subcommand is one file with one function of type Prepare, declared here and named in the table
// of main.cpp.
#pragma once

#include <functional>

namespace CLI {
class App;
}

namespace lockstep {

// Adds the subcommand's options to `app` and returns what runs once they are parsed. Its result is
// the exit status; what it throws, main reports. Options live in a shared_ptr that both capture.
using CommandAction = std::function<int()>;
using Prepare = CommandAction(CLI::App& app);

struct Command {
  const char* name;
  const char* summary;
  Prepare* prepare;
};

Prepare prepare_bench;       // bench.cpp
Prepare prepare_calibrate;   // calibrate.cpp
Prepare prepare_check;       // check.cpp
Prepare prepare_checkpoint;  // checkpoint.cpp
Prepare prepare_experiment;  // experiment.cpp
Prepare prepare_explain;     // explain.cpp
Prepare prepare_export;      // export.cpp
Prepare prepare_info;        // info.cpp
Prepare prepare_plan;        // plan.cpp
Prepare prepare_predict;     // predict.cpp
Prepare prepare_report;      // report.cpp
Prepare prepare_roofline;    // roofline.cpp
Prepare prepare_scaling;     // scaling.cpp
Prepare prepare_submit;      // submit.cpp
Prepare prepare_train;       // train.cpp
Prepare prepare_validate;    // validate.cpp

}  // namespace lockstep
