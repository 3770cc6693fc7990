// SPDX-License-Identifier: Apache-2.0
#include "runtime/logging/logging.hpp"

#include <memory>

#include <spdlog/sinks/stdout_color_sinks.h>
#include <spdlog/sinks/stdout_sinks.h>
#include <spdlog/spdlog.h>

namespace lockstep {

namespace {

constexpr const char* kMessages = "lockstep";
constexpr const char* kRows = "lockstep rows";

using Logger = std::shared_ptr<spdlog::logger>;

Logger make_logger(const char* name, spdlog::sink_ptr sink, const std::string& pattern) {
  auto logger = std::make_shared<spdlog::logger>(name, std::move(sink));
  logger->set_pattern(pattern);
  logger->flush_on(spdlog::level::info);
  spdlog::drop(name);  // started again: tests do
  spdlog::register_logger(logger);
  return logger;
}

// spdlog keeps the loggers by name; made here for whoever speaks before start_logging.
Logger get(const char* name) {
  if (!spdlog::get(name)) start_logging(0);
  return spdlog::get(name);
}

}  // namespace

void start_logging(int rank) {
  const std::string speaker = rank == 0 ? "" : "rank " + std::to_string(rank) + ": ";
  // %^ and %$ enclose what is coloured on a terminal.
  const Logger messages = make_logger(
      kMessages, std::make_shared<spdlog::sinks::stderr_color_sink_mt>(), speaker + "%^%v%$");
  messages->set_level(rank == 0 ? spdlog::level::info : spdlog::level::warn);

  const Logger rows = make_logger(kRows, std::make_shared<spdlog::sinks::stdout_sink_mt>(), "%v");
  rows->set_level(rank == 0 ? spdlog::level::info : spdlog::level::off);
}

void log_info(const std::string& text) {
  get(kMessages)->log(spdlog::level::info, text);
}
void log_warning(const std::string& text) {
  get(kMessages)->log(spdlog::level::warn, "warning: " + text);
}
void log_error(const std::string& text) {
  get(kMessages)->log(spdlog::level::err, "error: " + text);
}
void print_row(const std::string& row) {
  get(kRows)->log(spdlog::level::info, row);
}

}  // namespace lockstep
