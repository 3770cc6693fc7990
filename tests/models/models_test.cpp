// SPDX-License-Identifier: Apache-2.0
#include <algorithm>

#include "models/registry.hpp"
#include "runtime/base/error.hpp"
#include "tests/support/gradient_check.hpp"
#include "tests/support/thrown.hpp"

using namespace lockstep;

namespace {

ModelSection tiny(const std::string& kind) {
  ModelSection c;
  c.kind = kind;
  c.ffn = kind == "llama" ? 10 : 0;
  c.layers = 2;
  c.hidden = 12;
  c.heads = 6;
  c.kv_heads = 3;
  c.sequence = 5;
  c.vocabulary = 11;
  c.dropout = 0.2;
  c.context = 3;
  return c;
}

}  // namespace

TEST_CASE("whole models pass the gradient check, tied and untied") {
  const auto device = make_cpu_device();
  for (const std::string& kind : model_kinds()) {
    for (const bool tied : {true, false}) {
      INFO(kind << " tied " << tied);
      ModelSection config = tiny(kind);
      config.tied = tied;
      const auto model = make_model(config, *device, 1);
      for (Parameter* p : parameters_of(*model)) {
        if (!p->decays) continue;
        for (float& v : p->value.values())
          v *= 5;  // away from the near-linear start
      }
      test::check_gradients(*model, test::random_tokens(*device, {2, 5}, 11, 1),
                            test::micro_batch(2, 5));
    }
  }
}

TEST_CASE("weight gradients give the same bits at once and deferred") {
  const auto device = make_cpu_device();
  for (const std::string& kind : model_kinds()) {
    const auto model = make_model(tiny(kind), *device, 1);
    const auto parameters = parameters_of(*model);
    const Tensor tokens = test::random_tokens(*device, {2, 5}, 11, 2);
    const auto gradients = [&](Stash::WeightGradients when) {
      allocate_gradients(parameters);
      Stash stash(test::micro_batch(2, 5), Stash::Mode::training, when);
      const Tensor y = model->forward(tokens, stash);
      model->backward_input(test::random_tensor(*device, y.shape(), 3), stash);
      stash.settle();
      std::vector<Tensor> all;
      for (Parameter* p : parameters) {
        add_second_use(*p);
        all.push_back(p->grad);
      }
      return all;
    };
    const auto now = gradients(Stash::WeightGradients::immediate);
    const auto later = gradients(Stash::WeightGradients::deferred);
    for (std::size_t i = 0; i < now.size(); ++i) {
      CHECK(test::largest_difference(now[i], later[i]) == 0);
    }
  }
}

TEST_CASE("products add the residuals, where neither dropout nor a sum over ranks lies between") {
  const auto passes = [](ModelSection config, int ranks, double dropout) {
    config.dropout = dropout;
    const auto device = make_dry_device();
    const TensorGroup group(Communicator::dry(*device, ranks, 0), TensorGroup::Rows::all);
    Build with{.device = *device, .seed = 1, .tensor = group};
    const auto model = build(plan_model(config), with);
    Stash stash(test::micro_batch(2, 5));
    Recording recording;
    device->record_into(&recording);
    model->forward(Tensor::empty(*device, {2, 5}, DType::int32), stash);
    device->record_into(nullptr);
    return std::count_if(
        recording.records().begin(), recording.records().end(),
        [](const Record& r) { return r.operation.name == std::string("dropout_add"); });
  };
  for (const char* kind : {"gpt", "llama"}) {
    ModelSection config = tiny(kind);
    config.ffn = 12;
    CHECK(passes(config, 1, 0) == 0);
    CHECK(passes(config, 3, 0) == 4);  // 2 blocks of 2 branches
    CHECK(passes(config, 1, 0.1) == 4);
    CHECK(passes(config, 3, 0.1) == 4);
  }
}

TEST_CASE("parameters: counted, named once, started alike for one seed") {
  const auto device = make_cpu_device();
  ModelSection c = tiny("gpt");
  const auto count = [&] { return count_elements(parameters_of(*make_model(c, *device, 1))); };
  const std::int64_t block = 12 * 12 * 12 + 13 * 12, shared = (11 + 5 + 2) * 12;
  CHECK(count() == 2 * block + shared);
  c.tied = false;
  CHECK(count() == 2 * block + shared + 11 * 12);

  const auto a = make_model(c, *device, 1), b = make_model(c, *device, 1);
  const auto other = make_model(c, *device, 2);
  CHECK(test::largest_difference(parameters_of(*a)[0]->value, parameters_of(*b)[0]->value) == 0);
  CHECK(test::largest_difference(parameters_of(*a)[0]->value, parameters_of(*other)[0]->value) > 0);
}

TEST_CASE("an unknown model is refused with the ones there are") {
  const auto device = make_dry_device();
  const std::string message =
      test::thrown<ConfigError>([&] { make_model(tiny("gptt"), *device, 1); });
  CHECK(test::contains(message, "model.kind"));
  for (const std::string& kind : model_kinds())
    CHECK(test::contains(message, kind));
}

TEST_CASE("a tensor degree that the layers do not divide is refused, with those that they do") {
  const auto device = make_dry_device();
  const auto refusal = [&](const std::string& kind, int ranks) {
    const TensorGroup group(Communicator::dry(*device, ranks, 0), TensorGroup::Rows::all);
    Build with{.device = *device, .seed = 1, .tensor = group};
    return test::thrown<ConfigError>([&] { build(plan_model(tiny(kind)), with); });
  };
  CHECK(test::contains(refusal("gpt", 4), "parallel.tensor = 4"));
  CHECK(test::contains(refusal("gpt", 4), "use one of: 1, 2, 3, 6"));
  CHECK(test::contains(refusal("llama", 3), "10 units"));
  CHECK(test::contains(refusal("mlp", 2), "cannot be split"));
  CHECK(device->memory().peak == 0);
  CHECK(refusal("gpt", 3).empty());
}
