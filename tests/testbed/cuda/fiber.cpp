// SPDX-License-Identifier: Apache-2.0
#include "tests/testbed/cuda/fiber.hpp"

#include <new>

#include "tests/testbed/cuda/stack_switch.hpp"

// Null without the address sanitizer, which has to be told of every change of stacks.
extern "C" {
__attribute__((weak)) void __sanitizer_start_switch_fiber(void** keep, const void* lowest,
                                                          std::size_t bytes);
__attribute__((weak)) void __sanitizer_finish_switch_fiber(void* kept, const void** from,
                                                           std::size_t* bytes);
__attribute__((weak)) void __asan_unpoison_memory_region(void const volatile* from,
                                                         std::size_t bytes);
}

namespace lockstep::emulated {

namespace {

constexpr std::size_t kBytes = 128 << 10;

// Of the thread that resumes; only one does.
Fiber* running = nullptr;
void* resumer_at = nullptr;
const void* resumer_stack = nullptr;
std::size_t resumer_bytes = 0;

}  // namespace

Fiber::Fiber() : stack_(::operator new (kBytes, std::align_val_t{64})) {}
Fiber::~Fiber() {
  ::operator delete (stack_, std::align_val_t{64});
}

void Fiber::start(void (*entry)()) {
  if (__asan_unpoison_memory_region) __asan_unpoison_memory_region(stack_, kBytes);
  entry_ = entry;
  shadow_stack_ = nullptr;
  done_ = false;
  at_ = prepare_stack(stack_, kBytes, begin);
}

void Fiber::begin() {
  if (__sanitizer_finish_switch_fiber)
    __sanitizer_finish_switch_fiber(nullptr, &resumer_stack, &resumer_bytes);
  running->entry_();
  running->done_ = true;
  if (__sanitizer_start_switch_fiber)
    __sanitizer_start_switch_fiber(nullptr, resumer_stack, resumer_bytes);
  void* nowhere;
  switch_stack(&nowhere, resumer_at);
}

void Fiber::resume() {
  running = this;
  void* mine = nullptr;
  if (__sanitizer_start_switch_fiber) __sanitizer_start_switch_fiber(&mine, stack_, kBytes);
  switch_stack(&resumer_at, at_);
  if (__sanitizer_finish_switch_fiber) __sanitizer_finish_switch_fiber(mine, nullptr, nullptr);
}

void Fiber::pause() {
  Fiber* const me = running;
  if (__sanitizer_start_switch_fiber)
    __sanitizer_start_switch_fiber(&me->shadow_stack_, resumer_stack, resumer_bytes);
  switch_stack(&me->at_, resumer_at);
  if (__sanitizer_finish_switch_fiber)
    __sanitizer_finish_switch_fiber(me->shadow_stack_, &resumer_stack, &resumer_bytes);
}

}  // namespace lockstep::emulated
