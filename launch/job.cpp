// SPDX-License-Identifier: Apache-2.0
#include "launch/job.hpp"

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <initializer_list>
#include <new>
#include <string>
#include <thread>

#include "collectives/wait_errors.hpp"
#include "runtime/base/file.hpp"
#include "runtime/context/reported_failure.hpp"
#include "runtime/logging/logging.hpp"

namespace lockstep {

namespace {

// Ranks that fail alike (a bad job file) come within this time of each other.
constexpr double kAgreeSeconds = 1.0;

// Whoever speaks for all ranks has ended them within this time.
constexpr double kSilentSeconds = 1.0;

struct Failure {
  std::string message;  // empty: another rank has said it
  int status;
};

Failure describe(const std::exception_ptr& error) {
  try {
    std::rethrow_exception(error);
  } catch (const ReportedFailure&) {
    return {"", kFailure};
  } catch (const ReportedError&) {
    return {"", kUserError};
  } catch (const ConfigError& e) {
    return {e.what(), kUserError};
  } catch (const std::bad_alloc&) {
    return {"out of memory; use a smaller batch.micro or model", kFailure};
  } catch (const std::exception& e) {
    return {e.what(), kFailure};
  } catch (...) {
    return {"unknown exception", kFailure};
  }
}

void say(const std::string& who, const Failure& failure) {
  if (failure.message.empty()) return;
  const std::string line = who + ": " + failure.message + "\n";
  std::fflush(stdout);
  std::fwrite(line.data(), 1, line.size(), stderr);  // one piece: ranks share the terminal
}

std::string name_of(const Context& context, const Failure& failure) {
  const bool common = context.size() == 1 || failure.status == kUserError;
  return common ? "lockstep" : "lockstep: rank " + std::to_string(context.rank());
}

// -1 when the ranks do not all end, or when MPI itself is what failed.
int agreed_speaker(const Context& context, const Failure& failure) {
  try {
    return context.agree_to_end(!failure.message.empty(), kAgreeSeconds);
  } catch (const SystemError&) {
    return -1;
  }
}

// MPI may still write into memory that is gone, so nothing but abort() calls it any more.
[[noreturn]] void end_by_verdict(const Context& context, const VerdictError& verdict) {
  if (verdict.voice() != VerdictError::Voice::this_rank) {
    std::this_thread::sleep_for(std::chrono::duration<double>(kSilentSeconds));
  }
  say("lockstep: rank " + std::to_string(context.rank()), {verdict.what(), kFailure});
  context.abort(kFailure);
}

int end_job(const Context& context, const Failure& failure) {
  const int speaker = agreed_speaker(context, failure);
  if (speaker < 0) {
    // The lowest rank aborts first, so that an error of many ranks is mostly said once.
    const int order = std::min(context.rank(), 20);
    std::this_thread::sleep_for(order * std::chrono::milliseconds(50));
    say("lockstep: rank " + std::to_string(context.rank()), failure);
    context.abort(failure.status);
  }
  if (speaker == context.rank()) say(name_of(context, failure), failure);
  return failure.status;
}

}  // namespace

int run_job(const std::function<int(const Context&)>& body) {
  const Context context;
  start_logging(context.rank());
  std::exception_ptr error;
  try {
    if (context.first()) leave_mark("LOCKSTEP_STARTED");
    return body(context);
  } catch (const VerdictError& verdict) {
    end_by_verdict(context, verdict);
  } catch (...) {
    error = std::current_exception();
  }
  return end_job(context, describe(error));
}

void leave_mark(const char* variable) {
  if (const char* file = std::getenv(variable)) write_file(file, "");
}

int report(const std::exception_ptr& error) {
  const Failure failure = describe(error);
  say("lockstep", failure);
  return failure.status;
}

namespace {

const char* first_set(std::initializer_list<const char*> names) {
  for (const char* name : names) {
    if (const char* value = std::getenv(name)) return value;
  }
  return nullptr;
}

// Under mpirun inside a Slurm job the SLURM variables describe its daemon: they come last.
const char* launcher_rank() {
  return first_set({"OMPI_COMM_WORLD_RANK", "PMIX_RANK", "PMI_RANK", "SLURM_PROCID"});
}

}  // namespace

int rank_from_launcher() {
  const char* rank = launcher_rank();
  return rank ? std::atoi(rank) : 0;
}

int size_from_launcher() {
  const char* size = first_set({"OMPI_COMM_WORLD_SIZE", "PMI_SIZE", "SLURM_NTASKS"});
  return size && launched_by_others() ? std::atoi(size) : 1;
}

bool launched_by_others() {
  return launcher_rank() != nullptr;
}

}  // namespace lockstep
