// SPDX-License-Identifier: Apache-2.0
#include "slurm/request.hpp"

#include <cmath>
#include <cstdlib>
#include <regex>
#include <string_view>
#include <utility>

#include "runtime/base/error.hpp"
#include "slurm/shell.hpp"

namespace lockstep::slurm {

namespace {

struct Form {
  const char* key;
  const std::string& value;
  const char* pattern;  // of the whole value; an empty value asks for nothing
  const char* allowed;
};

void check_form(const Form& form) {
  if (form.value.empty() || std::regex_match(form.value, std::regex(form.pattern))) return;
  throw ConfigError(std::string(form.key) + " = \"" + form.value + "\" must be " + form.allowed);
}

void check_forms(const SlurmSection& s) {
  check_form({"slurm.memory", s.memory, "[0-9]+[KMGT]?", "a number of K, M, G or T, such as 64G"});
  check_form({"slurm.array", s.array,
              "[0-9]+(-[0-9]+(:[0-9]+)?)?(,[0-9]+(-[0-9]+(:[0-9]+)?)?)*(%[0-9]+)?",
              "numbers and ranges, such as 1-8 or 1,4,9%2"});
  check_form(
      {"slurm.array_key", s.array_key, "[a-z_]+\\.[a-z_]+", "section.key, such as job.seed"});
  check_form({"slurm.dependency", s.dependency, "[a-z]+(:[0-9_+]+)*([,?][a-z]+(:[0-9_+]+)*)*",
              "as sbatch takes it, such as afterok:123"});
  check_form({"slurm.mpi", s.mpi, "[a-z0-9_]+", "a type that srun --mpi=list names"});
  check_form(
      {"slurm.mail_on", s.mail_on, "[A-Z_0-9]+(,[A-Z_0-9]+)*", "events, such as END,FAIL,REQUEUE"});
}

void check_time(const SlurmSection& s) {
  if (s.time.empty()) return;
  const auto limit = seconds_of(s.time);
  if (!limit) {
    throw ConfigError(
        "slurm.time = \"" + s.time +
        "\" must be minutes (90), hours:minutes:seconds (1:30:00) or days-hours:minutes "
        "(2-12:30), minutes and seconds below 60");
  }
  if (*limit > s.signal_seconds) return;
  throw ConfigError("slurm.time = \"" + s.time + "\" is over before slurm.signal_seconds = " +
                    std::to_string(s.signal_seconds) + " begin; ask for more time");
}

void check_lists(const SlurmSection& s) {
  static const std::regex assignment("[A-Za-z_][A-Za-z0-9_]*=.*");
  for (const std::string& entry : s.environment) {
    if (std::regex_match(entry, assignment)) continue;
    throw ConfigError("slurm.environment holds \"" + entry + "\"; write NAME=value");
  }
  for (const std::string& option : s.options) {
    if (option.rfind("--", 0) == 0) continue;
    throw ConfigError("slurm.options holds \"" + option + "\"; write --option or --option=value");
  }
  if (!s.array_key.empty() && s.array.empty()) {
    throw ConfigError("slurm.array_key = \"" + s.array_key + "\" needs slurm.array");
  }
}

void check_lines(const JobConfig& job) {
  const SlurmSection& s = job.slurm;
  const std::pair<const char*, const std::string&> texts[] = {
      {"job.name", job.job.name},
      {"job.run_dir", job.job.run_dir},
      {"slurm.partition", s.partition},
      {"slurm.account", s.account},
      {"slurm.qos", s.qos},
      {"slurm.constraint", s.constraint},
      {"slurm.container", s.container},
      {"slurm.program", s.program},
      {"slurm.mail", s.mail},
      {"slurm.mpi_interface", s.mpi_interface},
      {"slurm.nccl_interface", s.nccl_interface}};
  for (const auto& [key, text] : texts)
    expect_one_line(key, text);
  for (const auto& [key, list] : {std::pair{"slurm.modules", &s.modules},
                                  {"slurm.environment", &s.environment},
                                  {"slurm.options", &s.options},
                                  {"slurm.lines", &s.lines}}) {
    for (const std::string& text : *list)
      expect_one_line(key, text);
  }
}

}  // namespace

std::optional<std::int64_t> seconds_of(const std::string& time) {
  // days - hours : minutes : seconds, of which the last may be missing; or up to three numbers.
  // Only the first of them may be above what a day, an hour or a minute has.
  static const std::regex with_days(
      "([0-9]{1,6})-([01]?[0-9]|2[0-3])(?::([0-5]?[0-9]))?(?::([0-5]?[0-9]))?");
  static const std::regex without("([0-9]{1,6})(?::([0-5]?[0-9]))?(?::([0-5]?[0-9]))?");
  std::smatch part;
  const auto number = [&part](int i) {
    return part[i].matched ? std::stoll(part[i].str()) : std::int64_t{0};
  };
  if (std::regex_match(time, part, with_days)) {
    return ((number(1) * 24 + number(2)) * 60 + number(3)) * 60 + number(4);
  }
  if (!std::regex_match(time, part, without)) return std::nullopt;
  if (part[3].matched) return (number(1) * 60 + number(2)) * 60 + number(3);
  return number(1) * 60 + number(2);
}

void check_request(const JobConfig& job) {
  check_lines(job);
  check_forms(job.slurm);
  check_time(job.slurm);
  check_lists(job.slurm);
}

double memory_bytes_of(const std::string& memory) {
  if (memory.empty()) return 0;
  constexpr std::string_view kUnits = "KMGT";
  const std::size_t unit = kUnits.find(memory.back());
  const double kib = unit == std::string_view::npos ? 1024 : std::pow(1024.0, unit);
  return 1024 * kib * std::strtod(memory.c_str(), nullptr);
}

std::string run_directory_of(const JobConfig& job) {
  std::string dir = job.job.run_dir.empty() ? "runs/" + job.job.name : job.job.run_dir;
  while (dir.size() > 1 && dir.back() == '/')
    dir.pop_back();
  return dir;
}

}  // namespace lockstep::slurm
