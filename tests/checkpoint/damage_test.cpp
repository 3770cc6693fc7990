// SPDX-License-Identifier: Apache-2.0
// Damaged checkpoints: every flipped bit and every truncation of every file is found when it is
// loaded, and is an error that names the file.
#include <filesystem>
#include <random>

#include "tests/checkpoint/written.hpp"
#include "tests/support/catch.hpp"
#include "tests/support/scratch.hpp"
#include "tests/support/thrown.hpp"

using namespace lockstep;

namespace fs = std::filesystem;

namespace {

constexpr int kFlips = 700, kCuts = 300;

class Checkpoint {
 public:
  Checkpoint() {
    test::write_small(folder_, dir_.path(), test::SmallState(1), 20);
    for (const auto& entry : fs::directory_iterator(path()))
      files_.push_back(entry.path().string());
  }
  std::string path() const { return folder_.place_of(20); }
  const std::vector<std::string>& files() const { return files_; }

  // Loading with other bytes in the file fails, and they are put back.
  void expect_refused(const std::string& file, const std::string& bytes) {
    const std::string good = test::read_text(file);
    std::ofstream(file, std::ios::binary) << bytes;
    const std::string said = refusal();
    CHECK(said.find(fs::path(file).filename().string()) != std::string::npos);
    std::ofstream(file, std::ios::binary) << good;
  }

  std::string refusal() const {
    try {
      test::read_small(path());
    } catch (const ConfigError& error) {
      return error.what();
    }
    return "";
  }

 private:
  test::TempDir dir_;
  CheckpointFolder folder_{dir_.path("checkpoints")};
  std::vector<std::string> files_;
};

}  // namespace

TEST_CASE("a whole checkpoint loads") {
  Checkpoint checkpoint;
  CHECK(checkpoint.files().size() == 3);
  CHECK(checkpoint.refusal() == "");
}

TEST_CASE("every flipped bit is found") {
  Checkpoint checkpoint;
  std::mt19937 random(1);
  for (int i = 0; i < kFlips; ++i) {
    const std::string& file = checkpoint.files()[random() % checkpoint.files().size()];
    std::string bytes = test::read_text(file);
    const std::size_t at = random() % bytes.size();
    const int bit = static_cast<int>(random() % 8);
    INFO(file << " byte " << at << " bit " << bit);
    bytes[at] = static_cast<char>(bytes[at] ^ (1 << bit));
    checkpoint.expect_refused(file, bytes);
  }
  CHECK(checkpoint.refusal() == "");
}

TEST_CASE("every truncation is found, and what was added") {
  Checkpoint checkpoint;
  std::mt19937 random(2);
  for (int i = 0; i < kCuts; ++i) {
    const std::string& file = checkpoint.files()[random() % checkpoint.files().size()];
    const std::string bytes = test::read_text(file);
    INFO(file << " cut " << i);
    checkpoint.expect_refused(file, bytes.substr(0, random() % bytes.size()));
  }
  for (const std::string& file : checkpoint.files())
    checkpoint.expect_refused(file, test::read_text(file) + "\n");
}

TEST_CASE("a missing file is named") {
  for (std::size_t i = 0; i < 3; ++i) {
    Checkpoint checkpoint;
    fs::remove(checkpoint.files()[i]);
    CHECK(checkpoint.refusal().find(fs::path(checkpoint.files()[i]).filename().string()) !=
          std::string::npos);
  }
}
