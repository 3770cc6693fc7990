// SPDX-License-Identifier: Apache-2.0
// A library that is opened while the program runs, because the program must start without it:
// cuBLASLt, cuDNN, NCCL. Users keep its functions in a table, typed by the library's own header:
//
//   struct CublasLt {
//     SharedLibrary library{"cuBLASLt", {"libcublasLt.so.13"}};
//     decltype(&cublasLtCreate) create = library.find<decltype(&cublasLtCreate)>("cublasLtCreate");
//   };
#pragma once

#include <initializer_list>
#include <string>

#include "runtime/base/handle.hpp"

namespace lockstep {

struct LibraryTraits {
  using type = void*;
  static void* null() { return nullptr; }
  static void destroy(void* library) noexcept;
};

class SharedLibrary {
 public:
  // The first of `files` that opens: LD_LIBRARY_PATH, the program's run path, the system's places.
  // Throws SystemError that says where was looked and what to do.
  SharedLibrary(std::string name, std::initializer_list<const char*> files);

  // Throws SystemError where the library is too old to have the function.
  template <class Function>
  Function find(const char* function) const {
    return reinterpret_cast<Function>(address_of(function));
  }
  const std::string& name() const { return name_; }

 private:
  void* address_of(const char* function) const;

  std::string name_;
  UniqueHandle<LibraryTraits> handle_;
};

}  // namespace lockstep
