// SPDX-License-Identifier: Apache-2.0
// One template owns every C handle; there is no other `destroy` call in the project.
#pragma once

#include <utility>

namespace lockstep {

template <class Traits>  // Traits: type, null(), destroy(type) noexcept
class UniqueHandle {
 public:
  explicit UniqueHandle(typename Traits::type h = Traits::null()) noexcept : handle_(h) {}
  UniqueHandle(UniqueHandle&& o) noexcept : handle_(std::exchange(o.handle_, Traits::null())) {}
  UniqueHandle& operator=(UniqueHandle&& o) noexcept {
    std::swap(handle_, o.handle_);
    return *this;
  }
  ~UniqueHandle() {
    if (handle_ != Traits::null()) Traits::destroy(handle_);
  }
  typename Traits::type get() const noexcept { return handle_; }

 private:
  typename Traits::type handle_;
};

}  // namespace lockstep
