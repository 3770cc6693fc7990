// SPDX-License-Identifier: Apache-2.0
#include "launch/dry_report.hpp"

#include <string_view>
#include <vector>

#include <nlohmann/json.hpp>

#include "runtime/base/format.hpp"

namespace lockstep {

namespace {

struct Total {
  const Operation* first;  // of this name
  std::int64_t launches = 0;
  double flops = 0, bytes_read = 0, bytes_written = 0;
};

// By name, in the order of their first launch.
std::vector<Total> totals_of(const Recording& recording) {
  std::vector<Total> totals;
  for (const Record& r : recording.records()) {
    if (r.operation.kind == OperationKind::phase) continue;
    const std::string_view name = r.operation.name;
    Total* total = nullptr;
    for (Total& t : totals) {
      if (name == t.first->name) total = &t;
    }
    if (!total) total = &totals.emplace_back(Total{.first = &r.operation});
    ++total->launches;
    total->flops += r.operation.flops;
    total->bytes_read += r.operation.bytes_read;
    total->bytes_written += r.operation.bytes_written;
  }
  return totals;
}

Total sum_of(const std::vector<Total>& totals) {
  Total sum{.first = nullptr};
  for (const Total& t : totals) {
    sum.launches += t.launches;
    sum.flops += t.flops;
    sum.bytes_read += t.bytes_read;
    sum.bytes_written += t.bytes_written;
  }
  return sum;
}

std::string row(const char* name, const Total& t) {
  return format("%-28s %9lld %12.4f %12.2f %12.2f\n", name, static_cast<long long>(t.launches),
                t.flops * 1e-9, t.bytes_read * 1e-6, t.bytes_written * 1e-6);
}

}  // namespace

std::string dry_table(const JobConfig& job, const StepRecord& record) {
  const std::vector<Total> totals = totals_of(record.recording);
  std::string text =
      format("One step of one rank of %d, recorded: %s, %.3f M parameters, %lld tokens\n\n",
             record.ranks, job.model.kind.c_str(), static_cast<double>(record.parameters) * 1e-6,
             static_cast<long long>(record.tokens));
  text += format("%-28s %9s %12s %12s %12s\n", "operation", "launches", "GFLOP", "MB read",
                 "MB written");
  for (const Total& t : totals)
    text += row(t.first->name, t);
  text += row("total", sum_of(totals));
  const double flops = model_flops(record.recording);
  text += format("\nmodel FLOPs   %.4f G, %.4f M per token\n", flops * 1e-9,
                 flops / static_cast<double>(record.tokens) * 1e-6);
  text += format("peak memory   %.1f MiB of tensors\n",
                 static_cast<double>(record.memory.peak) / (1 << 20));
  return text;
}

std::string dry_json(const JobConfig& job, const StepRecord& record) {
  nlohmann::ordered_json operations = nlohmann::ordered_json::array();
  const std::vector<Total> totals = totals_of(record.recording);
  for (const Total& t : totals) {
    operations.push_back({{"name", t.first->name},
                          {"launches", t.launches},
                          {"flops", t.flops},
                          {"bytes_read", t.bytes_read},
                          {"bytes_written", t.bytes_written}});
  }
  const nlohmann::ordered_json report = {{"model", job.model.kind},
                                         {"ranks", record.ranks},
                                         {"parameters", record.parameters},
                                         {"tokens", record.tokens},
                                         {"flops", sum_of(totals).flops},
                                         {"model_flops", model_flops(record.recording)},
                                         {"peak_memory_bytes", record.memory.peak},
                                         {"operations", operations}};
  return report.dump(2) + "\n";
}

}  // namespace lockstep
