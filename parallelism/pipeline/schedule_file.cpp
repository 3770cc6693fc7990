// SPDX-License-Identifier: Apache-2.0
#include "parallelism/pipeline/schedule_file.hpp"

#include <charconv>
#include <optional>
#include <sstream>

#include "parallelism/pipeline/check.hpp"
#include "runtime/base/error.hpp"
#include "runtime/base/format.hpp"
#include "runtime/data/file.hpp"

namespace lockstep {

namespace {

std::optional<ActionKind> kind_of(char letter) {
  switch (letter) {
    case 'F':
      return ActionKind::forward;
    case 'B':
      return ActionKind::backward_input;
    case 'W':
      return ActionKind::backward_weight;
    default:
      return std::nullopt;
  }
}

// "F3" or "W0.1"; nothing if it is neither.
std::optional<Action> action_of(std::string_view word) {
  const auto kind = word.empty() ? std::nullopt : kind_of(word.front());
  if (!kind) return std::nullopt;
  Action action{*kind};
  const char* end = word.data() + word.size();
  auto number = std::from_chars(word.data() + 1, end, action.micro_batch);
  if (number.ec == std::errc() && number.ptr != end && *number.ptr == '.')
    number = std::from_chars(number.ptr + 1, end, action.chunk);
  const bool whole = number.ec == std::errc() && number.ptr == end;
  return whole ? std::optional(action) : std::nullopt;
}

std::vector<Action> actions_of(const std::string& line, const std::string& where) {
  std::vector<Action> actions;
  std::istringstream words(line.substr(0, line.find('#')));
  for (std::string word; words >> word;) {
    const auto action = action_of(word);
    if (!action) {
      throw ConfigError(where + ": \"" + word +
                        "\" is no action; write F, B or W and the micro-batch, with several chunks "
                        ".CHUNK behind it, as in F0 B0 W0 or F0.1");
    }
    actions.push_back(*action);
  }
  return actions;
}

void check_stages(const PipelineSchedule& schedule, const std::string& path) {
  if (schedule.stages.size() == static_cast<std::size_t>(schedule.shape.stages)) return;
  throw ConfigError(
      format("parallel.schedule: %s has lines for %zu stages, but parallel.pipeline "
             "is %d; write one line per stage",
             path.c_str(), schedule.stages.size(), schedule.shape.stages));
}

std::string text_of_shape(const PipelineShape& shape) {
  return format(
      "each of %d micro-batches needs F, B and W once in each of %d %s, F before B before "
      "W, and stages in the order of the model",
      shape.micro_batches, shape.chunks, shape.chunks == 1 ? "chunk" : "chunks");
}

}  // namespace

PipelineSchedule parse_schedule(std::string_view text, const std::string& path,
                                const PipelineShape& shape) {
  PipelineSchedule schedule{path, shape, {}};
  std::vector<std::string> places;  // of each stage, "parallel.schedule: FILE:LINE"
  std::istringstream lines{std::string(text)};
  int number = 0;
  for (std::string line; std::getline(lines, line);) {
    const std::string where = "parallel.schedule: " + path + ":" + std::to_string(++number);
    std::vector<Action> actions = actions_of(line, where);
    if (actions.empty()) continue;
    schedule.stages.push_back(std::move(actions));
    places.push_back(where);
  }
  check_stages(schedule, path);
  if (const auto fault = find_fault(schedule)) {
    throw ConfigError(places[static_cast<std::size_t>(fault->stage)] + ": " + fault->what + "; " +
                      text_of_shape(shape));
  }
  return schedule;
}

PipelineSchedule read_schedule(const std::string& path, const PipelineShape& shape) {
  const FileHandle file = open_named(path, "parallel.schedule");
  std::string text, block(1 << 16, '\0');
  std::size_t got = 0;
  do {
    got = read_named(file, std::as_writable_bytes(std::span(block)), path, "parallel.schedule");
    text.append(block, 0, got);
  } while (got == block.size());
  return parse_schedule(text, path, shape);
}

std::string schedule_text(const PipelineSchedule& schedule) {
  std::string text;
  for (const auto& actions : schedule.stages) {
    std::string line;
    for (const Action& action : actions) {
      if (is_compute(action.kind)) line += (line.empty() ? "" : " ") + text_of(action);
    }
    text += line + "\n";
  }
  return text;
}

}  // namespace lockstep
