// SPDX-License-Identifier: Apache-2.0
// A safetensors file: every tensor of an accepted one is read to its last byte.
#include "runtime/checkpoint/safetensors.hpp"

#include "tests/fuzz/input_file.hpp"
#include "tests/fuzz/outcome.hpp"

using namespace lockstep;

namespace {

void read_all(const SafetensorsFile& file) {
  for (const std::string& name : file.names()) {
    unsigned sum = 0;
    for (const std::byte b : file.bytes(name))
      sum += static_cast<unsigned>(b);
    fuzz::expect(sum <= 255 * file.bytes(name).size());
    if (file.dtype(name) == DType::float32) {
      const auto count = static_cast<std::size_t>(file.shape(name).count());
      fuzz::expect(file.values(name).size() == count);
    }
  }
  fuzz::expect(!file.contains("no such tensor") || file.names().size() > 0);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const unsigned char* data, std::size_t size) {
  const fuzz::InputFile input(data, size);
  fuzz::accepted([&] { read_all(SafetensorsFile::open(input.path())); });
  return 0;
}
