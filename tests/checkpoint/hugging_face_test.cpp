// SPDX-License-Identifier: Apache-2.0
// GPT-2 and Llama of Hugging Face's transformers: imported weights give the logits that
// transformers computed (make_reference.py), and go back to the bits that came.
#include "models/hugging_face.hpp"

#include <cmath>
#include <fstream>

#include "models/hugging_face_files.hpp"
#include "models/registry.hpp"
#include "runtime/checkpoint/folder.hpp"
#include "runtime/checkpoint/whole.hpp"
#include "runtime/tensor/transfer.hpp"
#include "tests/support/catch.hpp"
#include "tests/support/scratch.hpp"
#include "tests/support/temp_dir.hpp"
#include "tests/support/thrown.hpp"

using namespace lockstep;

namespace {

constexpr const char* kModels[] = {"gpt2", "llama"};
constexpr double kTolerance = 1e-4;

std::string reference(const std::string& name) {
  return std::string(LOCKSTEP_REFERENCE_DIR) + "/" + name;
}

// Logits [B T, V] of the imported model.
std::vector<float> logits_of(const std::string& checkpoint, const std::vector<std::int32_t>& tokens,
                             std::int64_t batch) {
  const Manifest m = read_manifest(checkpoint);
  const auto device = make_cpu_device();
  const auto model = make_model(parse_job(m.job, "job").model, *device, 1);
  CheckpointReader reader(checkpoint, m);
  for (Parameter* p : parameters_of(*model)) {
    const Tensor value = whole_tensor(reader, "value", p->name, m.parameters.at(p->name), *device);
    upload(p->value, value.raw(), p->value.bytes());
  }
  const std::int64_t length = static_cast<std::int64_t>(tokens.size()) / batch;
  Tensor x = Tensor::empty(*device, {batch, length}, DType::int32);
  upload(x, tokens.data(), x.bytes());
  Stash stash(MicroBatch{.samples = batch, .tokens = length, .rows = batch * length});
  const Tensor logits = model->forward(x, stash);
  return {logits.values().begin(), logits.values().end()};
}

std::string config_with(const char* model, const std::string& was, const std::string& is) {
  std::string text = test::read_text(reference(model) + "/config.json");
  const auto at = text.find(was);
  REQUIRE(at != std::string::npos);
  return text.replace(at, was.size(), is);
}

}  // namespace

TEST_CASE("imported models give transformers' logits") {
  for (const char* name : kModels) {
    INFO(name);
    const test::TempDir dir;
    import_hugging_face(reference(name), dir.path("ours"), "test");
    const SafetensorsFile expected =
        SafetensorsFile::open(reference(name) + "/expected.safetensors");
    const auto logits = logits_of(dir.path("ours"), expected.values<std::int32_t>("tokens"),
                                  expected.shape("tokens")[0]);
    const auto wanted = expected.values("logits");
    REQUIRE(logits.size() == wanted.size());
    double difference = 0;
    for (std::size_t i = 0; i < logits.size(); ++i)
      difference = std::max(difference, std::abs(double{logits[i]} - wanted[i]));
    CHECK(difference < kTolerance);
  }
}

TEST_CASE("what is imported goes back unchanged") {
  for (const char* name : kModels) {
    INFO(name);
    const test::TempDir dir;
    import_hugging_face(reference(name), dir.path("ours"), "test");
    export_hugging_face(dir.path("ours"), dir.path("theirs"));
    const auto theirs = SafetensorsFile::open(dir.path("theirs") + "/model.safetensors");
    const auto came = SafetensorsFile::open(reference(name) + "/model.safetensors");
    CHECK(theirs.names() == came.names());
    for (const std::string& tensor : came.names()) {
      INFO(tensor);
      CHECK(theirs.shape(tensor) == came.shape(tensor));
      CHECK(theirs.values(tensor) == came.values(tensor));
    }
    const ModelSection was =
        model_of_hugging_face(test::read_text(reference(name) + "/config.json"));
    const ModelSection is = model_of_hugging_face(test::read_text(dir.path("theirs/config.json")));
    JobConfig a, b;
    a.model = was;
    b.model = is;
    b.model.ffn = was.ffn;  // theirs may leave it out
    CHECK(to_toml(a) == to_toml(b));
  }
}

TEST_CASE("a model that we do not compute is refused by its key") {
  const auto refusal = [](const std::string& config) {
    return test::thrown<ConfigError>([&] { model_of_hugging_face(config); });
  };
  CHECK(test::contains(refusal(config_with("gpt2", "gelu_new", "relu")), "activation_function"));
  CHECK(test::contains(refusal(config_with("llama", "10000.0", "500000.0")), "rope_theta"));
  CHECK(test::contains(refusal(config_with("llama", "\"llama\"", "\"mistral\"")), "model_type"));
  CHECK(test::contains(refusal(config_with("gpt2", "\"n_head\": 3", "\"n_head\": -3")), "n_head"));
  for (const char* text : {"", "[]", "{}", "{\"model_type\": 3}"})
    CHECK(refusal(text) != "");
  ModelSection mlp;
  mlp.kind = "mlp";
  CHECK(test::contains(test::thrown<ConfigError>([&] { hugging_face_tensors(mlp); }), "mlp"));
}
