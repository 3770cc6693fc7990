// SPDX-License-Identifier: Apache-2.0
// Only what the System V calling convention lets a callee change has to be kept.
#include <cstdint>

#include "tests/testbed/cuda/stack_switch.hpp"

extern "C" void lockstep_emulated_switch(void** from, void* to);

asm(R"(
.text
.globl lockstep_emulated_switch
.type lockstep_emulated_switch, @function
lockstep_emulated_switch:
  pushq %rbp
  pushq %rbx
  pushq %r12
  pushq %r13
  pushq %r14
  pushq %r15
  movq %rsp, (%rdi)
  movq %rsi, %rsp
  popq %r15
  popq %r14
  popq %r13
  popq %r12
  popq %rbx
  popq %rbp
  ret
.size lockstep_emulated_switch, . - lockstep_emulated_switch
)");

namespace lockstep::emulated {

void* prepare_stack(void* lowest, std::size_t bytes, void (*entry)()) {
  const auto end = (reinterpret_cast<std::uintptr_t>(lowest) + bytes) & ~std::uintptr_t{15};
  auto* top = reinterpret_cast<void**>(end) - 2;  // entry finds %rsp as after a call
  *top = reinterpret_cast<void*>(entry);
  for (int saved = 0; saved < 6; ++saved)
    *--top = nullptr;
  return top;
}

void switch_stack(void** from, void* to) {
  lockstep_emulated_switch(from, to);
}

}  // namespace lockstep::emulated
