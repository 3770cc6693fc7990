// SPDX-License-Identifier: Apache-2.0
#include "runtime/tensor/tensor.hpp"

#include <numeric>

#include "runtime/tensor/transfer.hpp"
#include "tests/support/catch.hpp"

using namespace lockstep;

TEST_CASE("shapes", "[unit]") {
  const Shape shape{2, 3, 4};
  CHECK(shape.rank() == 3);
  CHECK(shape.count() == 24);
  CHECK(shape[0] == 2);
  CHECK(shape[-1] == 4);
  CHECK(shape.text() == "[2, 3, 4]");
  CHECK(Shape{}.count() == 1);
  CHECK(Shape{5, 0}.count() == 0);
  CHECK(shape == Shape{2, 3, 4});
  CHECK_FALSE(shape == Shape{2, 3});
  CHECK_THROWS_AS(shape[3], LogicError);
  CHECK_THROWS_AS(shape[-4], LogicError);
  CHECK_THROWS_AS((Shape{1, 1, 1, 1, 1, 1}), LogicError);
}

TEST_CASE("a tensor takes its bytes from the device and gives them back", "[unit]") {
  auto device = make_cpu_device();
  {
    const Tensor t = Tensor::empty(*device, {3, 5});
    CHECK(t);
    CHECK(t.bytes() == 60);
    CHECK(device->memory().allocated == 60);
    const Tensor same = t;
    CHECK(device->memory().allocated == 60);
    CHECK(same.shares_storage_with(t));
  }
  CHECK(device->memory().allocated == 0);
}

TEST_CASE("an empty tensor has no elements, and a tensor may have none", "[unit]") {
  const Tensor none;
  CHECK_FALSE(none);
  CHECK(none.count() == 0);
  CHECK(none.bytes() == 0);

  auto device = make_cpu_device();
  const Tensor zero = Tensor::empty(*device, {0, 4});
  CHECK(zero);
  CHECK(zero.values().empty());
}

TEST_CASE("views and slices see the same elements", "[unit]") {
  auto device = make_cpu_device();
  Tensor t = Tensor::empty(*device, {4, 3});
  std::iota(t.values().begin(), t.values().end(), 0.0f);

  const Tensor flat = t.view({12});
  const Tensor rows = t.slice(1, 3), part = flat.slice(5, 7);
  CHECK(rows.shape() == Shape{2, 3});
  CHECK(rows.values()[0] == 3);
  CHECK(part.shape() == Shape{2});
  CHECK(part.values()[1] == 6);
  t.values()[6] = -1;
  CHECK(part.values()[1] == -1);
  CHECK(rows.values()[3] == -1);

  CHECK(t.slice(2, 2).count() == 0);
  CHECK_THROWS_AS(t.view({11}), LogicError);
  CHECK_THROWS_AS(t.slice(3, 5), LogicError);
  CHECK_THROWS_AS(t.slice(-1, 2), LogicError);
  CHECK_THROWS_AS(t.slice(2, 1), LogicError);
}

TEST_CASE("a slice keeps the storage alive", "[unit]") {
  auto device = make_cpu_device();
  Tensor slice;
  {
    Tensor t = Tensor::empty(*device, {4});
    t.values()[3] = 7;
    slice = t.slice(3, 4);
  }
  CHECK(device->memory().allocated == 16);
  CHECK(read_scalar(slice) == 7);
}

TEST_CASE("elements are read as what they are", "[unit]") {
  auto device = make_cpu_device();
  Tensor t = Tensor::empty(*device, {2}, DType::int32);
  t.values<std::int32_t>()[1] = 5;
  CHECK(t.bytes() == 8);
  CHECK(t.data<std::int32_t>()[1] == 5);
  CHECK_THROWS_AS(t.data(), LogicError);
  CHECK_THROWS_AS(read_scalar(t), LogicError);
}

TEST_CASE("dry tensors have shapes and sizes, and no elements", "[unit]") {
  auto device = make_dry_device();
  Tensor t = Tensor::empty(*device, {1000000, 1000000});
  CHECK(t);
  CHECK(t.count() == 1000000000000);
  CHECK(t.raw() == nullptr);
  CHECK(t.values().empty());
  CHECK(t.slice(5, 10).raw() == nullptr);
  CHECK(device->memory().allocated == 4000000000000);
  CHECK(read_scalar(Tensor::empty(*device, {1})) == 0);
}

TEST_CASE("a tensor over memory of somebody else", "[unit]") {
  auto device = make_cpu_device();
  auto memory = std::make_shared<std::array<float, 6>>();
  const Tensor t = Tensor::over(*device, memory, {2, 3});
  (*memory)[5] = 9;
  CHECK(t.values()[5] == 9);
  CHECK(device->memory().allocated == 0);
  CHECK(memory.use_count() == 2);
}
