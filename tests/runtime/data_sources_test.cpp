// SPDX-License-Identifier: Apache-2.0
// Byte corpora and token shards, good ones and bad ones; the split into training and validation.
#include <algorithm>
#include <filesystem>
#include <numeric>

#include "runtime/data/corpus.hpp"
#include "tests/support/catch.hpp"
#include "tests/support/config_error.hpp"
#include "tests/support/temp_dir.hpp"

using namespace lockstep;
namespace fs = std::filesystem;

namespace {

std::vector<std::int32_t> tokens_of(const TokenSource& source) {
  std::vector<std::int32_t> tokens(source.size());
  source.read(0, tokens);
  return tokens;
}

std::string text_of(const TokenSource& source) {
  const auto tokens = tokens_of(source);
  return {tokens.begin(), tokens.end()};
}

std::string sorted(std::string text) {
  std::sort(text.begin(), text.end());
  return text;
}

template <class T>
std::string raw(const std::vector<T>& values) {
  return {reinterpret_cast<const char*>(values.data()), values.size() * sizeof(T)};
}

std::vector<std::uint16_t> numbers(std::uint16_t first, std::size_t count) {
  std::vector<std::uint16_t> tokens(count);
  std::iota(tokens.begin(), tokens.end(), first);
  return tokens;
}

std::string header(std::int32_t count, std::int32_t version = 1) {
  std::vector<std::int32_t> words(256);
  words[0] = 20240520, words[1] = version, words[2] = count;
  return raw(words);
}

std::string bytes_error(const std::vector<std::string>& paths) {
  return test::config_error([&] { open_bytes(paths); });
}

std::string tokens_error(const std::vector<std::string>& paths, std::int64_t vocabulary = 0) {
  return test::config_error([&] { open_tokens(paths, vocabulary); });
}

}  // namespace

TEST_CASE("bytes: a file is its bytes") {
  const test::TempDir dir;
  const auto source = open_bytes({dir.write("a", std::string("a\0\xff", 3))});  // binary by request
  CHECK(source->vocabulary() == 256);
  CHECK(tokens_of(*source) == std::vector<std::int32_t>{'a', 0, 255});
  std::vector<std::int32_t> one(1);
  source->read(2, one);
  CHECK(one[0] == 255);
  CHECK_THROWS_AS(source->read(3, one), LogicError);
}

TEST_CASE("bytes: larger files than one read") {
  const test::TempDir dir;
  const std::string text(200'001, 'x');
  CHECK(text_of(*open_bytes({dir.write("big", text)})) == text);
}

TEST_CASE("bytes: directories are searched, without hidden, binary and linked-twice files") {
  const test::TempDir dir;
  dir.write("in/b", "B");
  dir.write("in/deep/er/c", "C");
  dir.write("in/.hidden", "H");
  dir.write("in/.git/d", "D");
  dir.write("in/object.o", std::string(100, 'O') + std::string(1, '\0'));
  dir.write("in/late_nul", std::string(4096, 'L') + std::string(1, '\0'));
  dir.write("in/empty", "");
  fs::create_symlink(dir.path("in"), dir.path("in/deep/loop"));
  fs::create_symlink(dir.path("in/b"), dir.path("in/again"));
  fs::create_symlink(dir.path("nowhere"), dir.path("in/dead"));
  dir.write("outside", "U");
  fs::create_symlink(dir.path("outside"), dir.path("in/linked"));

  const std::string text = text_of(*open_bytes({dir.path("in"), dir.path("in/b")}));
  CHECK(sorted(text) == sorted("BCU" + std::string(4096, 'L') + std::string(1, '\0')));
}

TEST_CASE("bytes: files are shuffled whole, the same way every time") {
  const test::TempDir dir;
  std::string in_order;
  for (char c = 'a'; c <= 'z'; ++c) {
    dir.write(std::string("in/") + c, std::string(3, c));
    in_order += std::string(3, c);
  }
  const std::string text = text_of(*open_bytes({dir.path("in")}));
  CHECK(text != in_order);
  CHECK(sorted(text) == in_order);
  for (std::size_t i = 0; i < text.size(); i += 3)
    CHECK(text.substr(i, 3) == std::string(3, text[i]));
  CHECK(text_of(*open_bytes({dir.path("in")})) == text);
}

TEST_CASE("bytes: what cannot be used is named") {
  const test::TempDir dir;
  const std::string none = dir.path("none");
  CHECK(bytes_error({none}) == "data.path: " + none +
                                   " cannot be read: No such file or directory; name files that "
                                   "every rank can read");
  const std::string empty = dir.write("empty", "");
  CHECK(bytes_error({empty}) ==
        "data.path: there is no text in " + empty + "; name files or directories that hold some");
  CHECK_THAT(bytes_error({"/proc/self/mem"}),  // opens, but its first page is not mapped
             Catch::Matchers::StartsWith("data.path: /proc/self/mem cannot be read: "));
  CHECK(bytes_error({"/dev/null"}) == "data.path: /dev/null is neither a file nor a directory");
}

TEST_CASE("tokens: both formats, several shards as one sequence") {
  const test::TempDir dir;
  const std::string with_header = dir.write("a.bin", header(5) + raw(numbers(0, 5)));
  const std::string plain = dir.write("b.bin", raw(numbers(5, 4)));
  const std::string last = dir.write("c.bin", header(3) + raw(numbers(9, 3)));

  const auto source = open_tokens({with_header, plain, last}, 0);
  std::vector<std::int32_t> expected(12);
  std::iota(expected.begin(), expected.end(), 0);
  CHECK(tokens_of(*source) == expected);
  CHECK(source->vocabulary() == 12);
  std::vector<std::int32_t> part(6);
  source->read(4, part);  // the last of a, all of b, the first of c
  CHECK(part == std::vector<std::int32_t>{4, 5, 6, 7, 8, 9});
  CHECK_THROWS_AS(source->read(7, part), LogicError);
}

TEST_CASE("tokens: a shard without tokens among others is passed over") {
  const test::TempDir dir;
  const auto source =
      open_tokens({dir.write("a.bin", raw(numbers(0, 2))), dir.write("b.bin", header(0)),
                   dir.write("c.bin", raw(numbers(2, 2)))},
                  4);
  CHECK(tokens_of(*source) == std::vector<std::int32_t>{0, 1, 2, 3});
}

TEST_CASE("tokens: all 16 bits are usable") {
  const test::TempDir dir;
  const std::string path = dir.write("a.bin", raw(std::vector<std::uint16_t>{65535, 0}));
  CHECK(open_tokens({path}, 0)->vocabulary() == 65536);
  CHECK(tokens_of(*open_tokens({path}, 100'000))[0] == 65535);
}

TEST_CASE("tokens: a bad shard is named with what is wrong") {
  const test::TempDir dir;
  const std::string cut = dir.write("cut.bin", header(5).substr(0, 100));
  CHECK(tokens_error({cut}) == "data.path: " + cut + ": the header of 1024 bytes is cut short");
  const std::string version = dir.write("version.bin", header(1, 2) + raw(numbers(0, 1)));
  CHECK(tokens_error({version}) ==
        "data.path: " + version + ": format version 2 is not known, only 1 is");
  const std::string shorter = dir.write("short.bin", header(5) + raw(numbers(0, 4)));
  CHECK(tokens_error({shorter}) == "data.path: " + shorter +
                                       ": the header promises 5 tokens, the file has 4; fetch it "
                                       "again");
  const std::string negative = dir.write("negative.bin", header(-1));
  CHECK_THAT(tokens_error({negative}), ContainsSubstring("promises -1 tokens"));
  const std::string odd = dir.write("odd.bin", "abc");
  CHECK(tokens_error({odd}) == "data.path: " + odd + ": 3 bytes are not whole 16-bit tokens");
  const std::string empty = dir.write("empty.bin", "");
  CHECK(tokens_error({empty}) ==
        "data.path: " + empty + ": is empty; fetch it again or leave it out");
  const std::string no_tokens = dir.write("none.bin", header(0));
  CHECK(tokens_error({no_tokens}) == "data.path: " + no_tokens + " holds no tokens");
  CHECK(tokens_error({dir.path()}) ==
        "data.path: " + dir.path() +
            ": is not a regular file; name shards that every rank can read");
  CHECK_THAT(tokens_error({dir.path("nil")}), ContainsSubstring("No such file or directory"));
}

TEST_CASE("tokens: a token beyond the vocabulary is named with its file and position") {
  const test::TempDir dir;
  const std::string good = dir.write("good.bin", header(4) + raw(numbers(0, 4)));
  const std::string bad = dir.write("bad.bin", header(4) + raw(numbers(7, 4)));
  CHECK(tokens_error({good, bad}, 9) ==
        "data.path: " + bad + ": token 9 at position 2 is beyond model.vocabulary = 9");
  CHECK(tokens_error({good, bad}, 11) == "no error");
}

TEST_CASE("tokens: shards too large to check at once are checked as they are read") {
  const test::TempDir dir;
  const std::string path = dir.write("large.bin", "");
  fs::resize_file(path, 1024 + (std::uintmax_t{66} << 20));  // sparse: zeros
  std::fstream file(path, std::ios::in | std::ios::out | std::ios::binary);
  const std::uint16_t token = 300;
  const std::int64_t position = 40'000'000 / 2;
  file.seekp(2 * position);
  file.write(reinterpret_cast<const char*>(&token), 2);
  file.close();

  const auto source = open_tokens({path}, 256);
  std::vector<std::int32_t> part(10);
  CHECK_NOTHROW(source->read(position - 10, part));
  CHECK(test::config_error([&] { source->read(position - 9, part); }) ==
        "data.path: " + path + ": token 300 at position 20000000 is beyond model.vocabulary = 256");
}

TEST_CASE("the last share of the data is for validation") {
  const test::TempDir dir;
  DataSection data;
  data.path = {dir.write("a", std::string(100, 'x'))};
  data.validation_share = 0.25;
  const Corpus corpus = open_corpus(data, 0);
  CHECK(corpus.vocabulary == 256);
  CHECK(corpus.train.begin == 0);
  CHECK(corpus.train.end == 75);
  CHECK(corpus.validation.begin == 75);
  CHECK(corpus.validation.end == 100);
  CHECK(open_corpus(data, 300).vocabulary == 300);
  data.validation_share = 0;
  CHECK(open_corpus(data, 0).validation.size() == 0);
}

TEST_CASE("validation shards of their own leave all of data.path to training") {
  const test::TempDir dir;
  DataSection data;
  data.kind = "tokens";
  data.path = {dir.write("train.bin", raw(numbers(0, 10)))};
  data.validation_path = {dir.write("val.bin", raw(numbers(20, 5)))};
  const Corpus corpus = open_corpus(data, 0);
  CHECK(corpus.train.size() == 10);
  CHECK(corpus.validation.size() == 5);
  CHECK(corpus.vocabulary == 25);  // of both
  CHECK_THAT(test::config_error([&] { open_corpus(data, 12); }),
             Catch::Matchers::StartsWith("data.validation_path: " + data.validation_path[0] +
                                         ": token 20 at position 0"));
}

TEST_CASE("a corpus that is not there, and a vocabulary that bytes do not fit in") {
  const test::TempDir dir;
  DataSection data;
  CHECK_THAT(test::config_error([&] { open_corpus(data, 0); }),
             Catch::Matchers::StartsWith("data.path is empty: name the files to train on"));
  data.path = {dir.write("a", "text")};
  CHECK(test::config_error([&] { open_corpus(data, 128); }) ==
        "model.vocabulary = 128 is below the 256 tokens of data.kind = \"bytes\"; set it to 0 or "
        "256");
}
