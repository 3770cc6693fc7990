// SPDX-License-Identifier: Apache-2.0
// The folder of checkpoints and who may write into it: retention, what is complete, replacing one,
// what a manifest may say, former lives.
#include <filesystem>
#include <optional>
#include <set>
#include <thread>

#include "runtime/base/half.hpp"
#include "tests/checkpoint/written.hpp"
#include "tests/support/catch.hpp"
#include "tests/support/scratch.hpp"
#include "tests/support/thrown.hpp"

using namespace lockstep;

namespace fs = std::filesystem;

namespace {

using Steps = std::vector<std::int64_t>;

std::string replaced(std::string text, const std::string& what, const std::string& by) {
  const auto at = text.find(what);
  REQUIRE(at != std::string::npos);
  return text.replace(at, what.size(), by);
}

}  // namespace

TEST_CASE("retention takes all but the last ones and every so many-th step") {
  const Steps steps{50, 40, 30, 20, 10};
  CHECK(outdated(steps, 2, 0) == Steps{30, 20, 10});
  CHECK(outdated(steps, 1, 20) == Steps{30, 10});
  CHECK(outdated(steps, 9, 0).empty());
  CHECK(outdated({}, 1, 7).empty());
}

TEST_CASE("what is written is read, by region") {
  test::TempDir dir;
  const CheckpointFolder folder(dir.path("checkpoints"));
  CHECK(folder.steps().empty());
  test::write_small(folder, dir.path(), test::SmallState(1), 20);
  CHECK(folder.steps() == Steps{20});
  const auto values = test::read_small(folder.place_of(20));
  CHECK(values.front() == 1);
  CHECK(values.size() == 2 * (30 + 4));

  const Manifest manifest = read_manifest(folder.place_of(20));
  CHECK(manifest.step == 20);
  CHECK(parse_manifest(to_text(manifest)) == manifest);

  SECTION("a column of the matrix comes from both shards") {
    const auto device = make_cpu_device();
    std::vector<HeldPiece> column{{"matrix", {6, 5}, {{0, 2, 6, 1}}, {}}};
    column[0].states.push_back({"value", Tensor::empty(*device, {6})});
    const std::string path = folder.place_of(20);
    CheckpointReader(path, manifest).read(column);
    const auto got = column[0].states[0].tensor.values();
    CHECK(std::vector<float>(got.begin(), got.end()) == std::vector<float>{3, 8, 13, 13, 18, 23});
  }
  SECTION("a run in bfloat16 reads values of float32, rounded, and masters as they are") {
    const auto device = make_cpu_device();
    std::vector<HeldPiece> row{{"matrix", {6, 5}, {{1, 0, 1, 5}}, {}}};
    row[0].states.push_back({"value", Tensor::empty(*device, {5}, DType::bfloat16)});
    row[0].states.push_back({"master", Tensor::empty(*device, {5})});
    const std::string path = folder.place_of(20);
    CheckpointReader(path, manifest).read(row);
    for (std::int64_t i = 0; i < 5; ++i) {
      CHECK(float(row[0].states[0].tensor.data<BFloat16>()[i]) == 6.0f + float(i));
      CHECK(row[0].states[1].tensor.data()[i] == 6.0f + float(i));
    }
  }
  SECTION("another one of the same step takes its place") {
    test::write_small(folder, dir.path(), test::SmallState(100), 20);
    CHECK(test::read_small(folder.place_of(20)).front() == 100);
    CHECK(folder.steps() == Steps{20});
  }
  SECTION("drafts and folders without a manifest do not count, and drafts are cleaned away") {
    folder.make_draft(40, 0);
    fs::create_directory(folder.place_of(60));
    CHECK(folder.steps() == Steps{20});
    folder.clean();
    CHECK_FALSE(fs::exists(folder.draft_of(40, 0)));
    CHECK(fs::exists(folder.place_of(60)));
  }
}

TEST_CASE("only the chunks that a rank needs are read") {
  constexpr std::int64_t kRows = 400000;  // 4 MB of each half of the matrix, and as many moments
  test::TempDir dir;
  const CheckpointFolder folder(dir.path("checkpoints"));
  test::write_small(folder, dir.path(), test::SmallState(1, kRows), 1);
  const std::string path = folder.place_of(1);
  const Manifest manifest = read_manifest(path);
  CheckpointReader reader(path, manifest);
  const auto device = make_cpu_device();
  std::vector<HeldPiece> row{{"matrix", {kRows, 5}, {{kRows / 4, 0, 1, 5}}, {}}};
  row[0].states.push_back({"value", Tensor::empty(*device, {5})});
  reader.read(row);
  CHECK(reader.bytes_read() == manifest.shards[0].chunk_bytes);
}

TEST_CASE("a manifest that does not fit is refused with the reason") {
  test::SmallState state(1);
  Manifest m = state.head(3);
  m.shards.push_back({.file = "shard-00000.safetensors",
                      .bytes = 100,
                      .chunk_bytes = 1024,
                      .crc32c = {1},
                      .pieces = {{"vector", {{0, 0, 1, 4}}, {{"value", DType::float32, 40}}}}});
  m.shards[0].own = {{"compression/0", DType::float32, 24, 4}};
  m.progress = {.losses = {1.0 / 3, 2e-300},
                .grad_norms = {0.1, 7},
                .went_back = {5},
                .skipped = 2,
                .skipped_in_row = 1,
                .validation_loss = 0.7,
                .validation_accuracy = 0.4};
  REQUIRE(parse_manifest(to_text(m)) == m);
  const auto refusal = [&](auto change) {
    Manifest changed = m;
    change(changed);
    return test::thrown<ConfigError>([&] { parse_manifest(to_text(changed)); });
  };
  const auto says = [](const std::string& text, const char* part) {
    INFO(text);
    CHECK(text.find(part) != std::string::npos);
  };
  says(refusal([](Manifest& x) { x.version = 2; }), "use a newer one");
  says(refusal([](Manifest& x) { x.shards[0].file = "../x"; }), "not a file's name");
  says(refusal([](Manifest& x) { x.shards[0].crc32c.clear(); }), "one per chunk");
  says(refusal([](Manifest& x) { x.shards[0].pieces[0].states[0].offset = 90; }), "ends behind");
  says(refusal([](Manifest& x) { x.shards[0].pieces[0].region[0].column = 1; }), "outside");
  says(refusal([](Manifest& x) { x.parameters.erase("vector"); }), "no parameter");
  says(refusal([](Manifest& x) {
         x.shards[0].own = {{"compression/0", DType::float32, 25, 4}};
       }),
       "compression/0 ends behind");
  says(refusal([](Manifest& x) {
         x.parameters["vector"] = {std::int64_t{1} << 40, 1 << 20};
       }),
       "too large");
  says(test::thrown<ConfigError>([&] { parse_manifest(replaced(to_text(m), "adamw", "adamx")); }),
       "checksum");
  for (const char* text : {"", "{}", "{\"checkpoint\":", "null"})
    CHECK_THROWS_AS(parse_manifest(text), ConfigError);
}

TEST_CASE("another model is refused with the tensor and both shapes") {
  const Manifest m = test::SmallState(1).head(1);
  const auto refusal = [&](const std::map<std::string, Dims>& model) {
    return test::thrown<ConfigError>([&] { expect_same_model(m, model); });
  };
  CHECK(refusal({{"matrix", {6, 8}}, {"vector", {4}}}).find("matrix is [6, 5]") !=
        std::string::npos);
  CHECK(refusal({{"matrix", {6, 8}}, {"vector", {4}}}).find("[6, 8] in this model") !=
        std::string::npos);
  CHECK(refusal({{"matrix", {6, 5}}}).find("vector") != std::string::npos);
  CHECK(refusal({{"matrix", {6, 5}}, {"vector", {4}}, {"more", {1}}}).find("no more") !=
        std::string::npos);
}

TEST_CASE("a draft that a new life has taken away does not become a checkpoint") {
  test::TempDir dir;
  const CheckpointFolder folder(dir.path("checkpoints"));
  test::write_small(folder, dir.path(), test::SmallState(1), 5);
  const Fence former = Fence::take(dir.path(), {});
  folder.make_draft(5, former.life());
  former.check();  // the last thing that it does before the rename
  Fence::take(dir.path(), {});
  folder.clean();
  CHECK_THROWS_AS(folder.commit(5, former.life()), SystemError);
  CHECK(folder.steps() == Steps{5});  // and what was there still is
  CHECK(test::read_small(folder.place_of(5)).front() == 1);
}

TEST_CASE("starts at the same moment are different lives, and one of them goes on") {
  constexpr int kStarts = 8;
  test::TempDir dir;
  Fence::take(dir.path(), {});
  std::vector<std::optional<Fence>> fences(kStarts);
  std::vector<std::thread> threads;
  for (auto& fence : fences)
    threads.emplace_back([&dir, &fence] { fence = Fence::take(dir.path(), {}); });
  for (std::thread& thread : threads)
    thread.join();
  std::set<std::int64_t> lives;
  int going_on = 0;
  for (const auto& fence : fences) {
    lives.insert(fence->life());
    try {
      fence->check();
      ++going_on;
    } catch (const ConfigError&) {
    }
  }
  CHECK(lives.size() == kStarts);
  CHECK(going_on == 1);
}

TEST_CASE("a former life is told who goes on, and writes nothing") {
  test::TempDir dir;
  const CheckpointFolder folder(dir.path("checkpoints"));
  const Fence former = Fence::take(dir.path(), {.restart = 0, .job = "17"});
  former.check();
  const Fence now = Fence::take(dir.path(), {.restart = 1, .job = "17"});
  now.check();
  CHECK(now.life() == former.life() + 1);
  const std::string said = test::thrown<ConfigError>([&] { former.check(); });
  CHECK(said.find("continued by life 1") != std::string::npos);

  test::SmallState state(1);
  folder.clean();
  folder.make_draft(5, former.life());
  Manifest head = state.head(5);
  CheckpointWriter writer(folder, former, {.rank = 0, .ranks = 1});
  writer.save(state.of_rank(0), head);
  CHECK_THROWS_AS(writer.wait(), ConfigError);
  CHECK(folder.steps().empty());

  SECTION("an earlier start of the same job cannot come back, another job can") {
    CHECK_THROWS_AS(Fence::take(dir.path(), {.restart = 0, .job = "17"}), ConfigError);
    Fence::take(dir.path(), {.restart = 0, .job = "18"}).check();
  }
}
