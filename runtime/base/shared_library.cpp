// SPDX-License-Identifier: Apache-2.0
#include "runtime/base/shared_library.hpp"

#include <dlfcn.h>

#include "runtime/base/error.hpp"

namespace lockstep {

void LibraryTraits::destroy(void* library) noexcept {
  dlclose(library);
}

SharedLibrary::SharedLibrary(std::string name, std::initializer_list<const char*> files)
    : name_(std::move(name)) {
  std::string tried;
  for (const char* file : files) {
    // Never unmapped: CUDA's libraries have threads and handlers that run when the process ends.
    handle_ = UniqueHandle<LibraryTraits>(dlopen(file, RTLD_NOW | RTLD_LOCAL | RTLD_NODELETE));
    if (handle_.get()) return;
    tried += (tried.empty() ? "" : "; ") + std::string(dlerror());
  }
  throw SystemError(name_ + " cannot be opened (" + tried +
                    "): load your cluster's module or add its folder to LD_LIBRARY_PATH");
}

void* SharedLibrary::address_of(const char* function) const {
  if (void* address = dlsym(handle_.get(), function)) return address;
  throw SystemError("this " + name_ + " has no function " + function + ": it is too old");
}

}  // namespace lockstep
