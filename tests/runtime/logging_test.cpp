// SPDX-License-Identifier: Apache-2.0
// Who says what, and where.
#include "runtime/logging/logging.hpp"

#include <cstdio>
#include <string>

#include <fcntl.h>
#include <unistd.h>

#include "runtime/base/file.hpp"
#include "tests/support/catch.hpp"
#include "tests/support/scratch.hpp"

using namespace lockstep;

namespace {

// While it lives, what is written to a file descriptor goes to a file.
class Redirect {
 public:
  Redirect(int from, const std::string& path)
      : from_(from), saved_(dup(from)), to_(open_file(path, O_WRONLY | O_CREAT | O_TRUNC)) {
    dup2(to_.get(), from_);
  }
  ~Redirect() {
    std::fflush(nullptr);
    dup2(saved_.get(), from_);
  }
  Redirect(const Redirect&) = delete;
  Redirect& operator=(const Redirect&) = delete;

 private:
  int from_;
  FileHandle saved_, to_;
};

struct Said {
  std::string out, err;
};

Said speak_as(int rank) {
  const test::ScratchFolder folder;
  {
    const Redirect out(STDOUT_FILENO, folder / "out"), err(STDERR_FILENO, folder / "err");
    start_logging(rank);
    log_info("12 layers {}");  // braces are text
    log_warning("slow disk");
    log_error("no disk");
    print_row("step 1");
  }
  return {test::read_text(folder / "out"), test::read_text(folder / "err")};
}

}  // namespace

TEST_CASE("rank 0 says everything: messages to stderr, rows to stdout", "[unit]") {
  const Said said = speak_as(0);
  CHECK(said.err == "12 layers {}\nwarning: slow disk\nerror: no disk\n");
  CHECK(said.out == "step 1\n");
}

TEST_CASE("other ranks only warn, and say who they are", "[unit]") {
  const Said said = speak_as(3);
  CHECK(said.err == "rank 3: warning: slow disk\nrank 3: error: no disk\n");
  CHECK(said.out.empty());
}
