// SPDX-License-Identifier: Apache-2.0
#include <ucontext.h>

#include "tests/testbed/cuda/stack_switch.hpp"

namespace lockstep::emulated {

// The context lies at the low end of its own stack.
void* prepare_stack(void* lowest, std::size_t bytes, void (*entry)()) {
  auto* context = static_cast<ucontext_t*>(lowest);
  getcontext(context);
  context->uc_stack.ss_sp = static_cast<char*>(lowest) + sizeof(ucontext_t);
  context->uc_stack.ss_size = bytes - sizeof(ucontext_t);
  context->uc_link = nullptr;
  makecontext(context, entry, 0);
  return context;
}

void switch_stack(void** from, void* to) {
  ucontext_t here;
  *from = &here;
  swapcontext(&here, static_cast<ucontext_t*>(to));
}

}  // namespace lockstep::emulated
