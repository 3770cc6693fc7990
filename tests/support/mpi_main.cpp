// SPDX-License-Identifier: Apache-2.0
// main() of the tests under mpirun. The first rank prints as usual; another rank prints only when
// it fails. A failed assertion ends the whole job, because the other ranks may be waiting for this
// one in a collective; and a watchdog ends a job that hangs, with the name of the test it hangs in.
#define CATCH_CONFIG_EXTERNAL_INTERFACES
#include <chrono>
#include <condition_variable>
#include <cstdlib>
#include <iostream>
#include <mutex>
#include <sstream>
#include <string>
#include <thread>

#include "tests/support/catch.hpp"
#include "tests/support/catch_runner.hpp"
#include "tests/support/mpi.hpp"

namespace lockstep::test {

namespace {

const Context* the_context = nullptr;
std::ostringstream kept_output;  // of ranks above 0

// What this rank has printed, in one piece so that ranks do not mix; then the end of all.
[[noreturn]] void end_job(const std::string& why) {
  std::cout.flush();
  std::cerr << kept_output.str() + "rank " + std::to_string(context().rank()) + ": " + why + "\n"
            << std::flush;
  // Another rank that fails at the same place may say so too.
  std::this_thread::sleep_for(std::chrono::milliseconds(200));
  context().abort(EXIT_FAILURE);
}

class Watchdog {
 public:
  Watchdog() : thread_([this] { watch(); }) {}
  ~Watchdog() {
    {
      std::lock_guard lock(mutex_);
      done_ = true;
    }
    changed_.notify_one();
    thread_.join();
  }
  void enter(const std::string& test) {
    std::lock_guard lock(mutex_);
    test_ = test;
  }

 private:
  // ctest passes its time limit; a tenth before it we still can say where we are.
  static double limit_seconds() {
    const char* limit = std::getenv("LOCKSTEP_TEST_SECONDS");
    return 0.9 * (limit ? std::atof(limit) : 600);
  }
  void watch() {
    std::unique_lock lock(mutex_);
    const std::chrono::duration<double> limit(limit_seconds());
    if (!changed_.wait_for(lock, limit, [&] { return done_; })) end_job("hangs in '" + test_ + "'");
  }

  std::mutex mutex_;
  std::condition_variable changed_;
  std::string test_ = "start";
  bool done_ = false;
  std::thread thread_;  // last: starts when all above is ready
};

Watchdog* the_watchdog = nullptr;

// Registered with Catch2 below, which makes it.
class EndJobOnFailure : public TestListener {
 public:
  using TestListener::TestListener;

  void testCaseStarting(const Catch::TestCaseInfo& info) override {
    the_watchdog->enter(info.name);
  }
  void sectionEnded(const Catch::SectionStats& stats) override {
    if (stats.assertions.failed > 0) end_job("failed '" + stats.sectionInfo.name + "'");
  }
};
CATCH_REGISTER_LISTENER(EndJobOnFailure)

}  // namespace

const Context& context() {
  return *the_context;
}

}  // namespace lockstep::test

int main(int argc, char** argv) {
  using namespace lockstep::test;
  const lockstep::Context context;
  the_context = &context;
  Watchdog watchdog;
  the_watchdog = &watchdog;

  std::streambuf* console = std::cout.rdbuf();
  if (!context.first()) std::cout.rdbuf(kept_output.rdbuf());
  const int status = run_catch(argc, argv);
  std::cout.rdbuf(console);
  return status;
}
