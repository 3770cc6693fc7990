// SPDX-License-Identifier: Apache-2.0
#include "runtime/nn/stash.hpp"

#include <string>
#include <vector>

#include "runtime/nn/module.hpp"
#include "tests/support/catch.hpp"

using namespace lockstep;

namespace {

// y = x; notes when its weight gradient runs.
class Layer : public Module {
 public:
  Layer(std::string name, std::vector<std::string>& log) : log_(log) {
    weight_.name = std::move(name);
  }

  Tensor forward(const Tensor& x, Stash& stash) override {
    stash.save(this, x);
    return x;
  }
  Tensor backward_input(Tensor dy, Stash& stash) override {
    log_.push_back("input " + weight_.name);
    stash.owe(*this);
    return dy;
  }
  void backward_weight(Stash& stash) override {
    stash.take(this);
    log_.push_back("weight " + weight_.name);
    stash.ready(weight_);
  }
  void parameters(std::vector<Parameter*>& into) override { into.push_back(&weight_); }

 private:
  Parameter weight_;
  std::vector<std::string>& log_;
};

using Log = std::vector<std::string>;

// Two layers forward and backward; the listener notes which parameter is ready.
Log run(Stash& stash) {
  Log log;
  auto device = make_dry_device();
  Layer a("a", log), b("b", log);
  stash.on_ready([&](Parameter& p) { log.push_back("ready " + p.name); });

  const Tensor x = Tensor::empty(*device, {1});
  b.forward(a.forward(x, stash), stash);
  a.backward_input(b.backward_input(x, stash), stash);
  log.push_back("settle");
  stash.settle();
  stash.settle();  // nothing is owed any more
  return log;
}

}  // namespace

TEST_CASE("weight gradients run behind the input gradient of their layer", "[unit]") {
  Stash stash;
  CHECK(run(stash) ==
        Log{"input b", "weight b", "ready b", "input a", "weight a", "ready a", "settle"});
}

TEST_CASE("deferred weight gradients run at settle, in the order of backward", "[unit]") {
  Stash stash({}, Stash::Mode::training, Stash::WeightGradients::deferred);
  CHECK(run(stash) ==
        Log{"input b", "input a", "settle", "weight b", "ready b", "weight a", "ready a"});
}

TEST_CASE("a module takes back what it saved, last in first out; others' things stay", "[unit]") {
  Log log;
  auto device = make_dry_device();
  Layer a("a", log), b("b", log);
  Stash stash;
  stash.save(&a, Tensor::empty(*device, {1}));
  stash.save(&b, Tensor::empty(*device, {2}));
  stash.save(&a, Tensor::empty(*device, {3}));

  CHECK(stash.take(&a).count() == 3);
  CHECK(stash.take(&a).count() == 1);
  CHECK(stash.take(&b).count() == 2);
  CHECK_THROWS_AS(stash.take(&a), LogicError);
  CHECK(device->memory().allocated == 0);
}

TEST_CASE("inference keeps nothing", "[unit]") {
  Log log;
  auto device = make_dry_device();
  Layer a("a", log);
  Stash stash({}, Stash::Mode::inference);
  stash.save(&a, Tensor::empty(*device, {1}));
  CHECK(device->memory().allocated == 0);
  CHECK_FALSE(stash.training());
  CHECK_THROWS_AS(stash.take(&a), LogicError);
}

TEST_CASE("nothing is kept while something forgetful lives", "[unit]") {
  Log log;
  auto device = make_dry_device();
  Layer a("a", log);
  Stash stash;
  {
    const Forgetful outer(stash);
    const Forgetful inner(stash);
    stash.save(&a, Tensor::empty(*device, {1}));
  }
  stash.save(&a, Tensor::empty(*device, {2}));
  CHECK(stash.take(&a).count() == 2);
  CHECK_THROWS_AS(stash.take(&a), LogicError);
}

TEST_CASE("a stash knows which samples it belongs to", "[unit]") {
  CHECK(Stash({.first_sample = 1234}).batch().first_sample == 1234);
}
