// SPDX-License-Identifier: Apache-2.0
// Copies of what is communicated, both ways at the same time: out of the GPU in the order of the
// communication stream (the device's, or the lane's), into it in that of a stream beside it. For
// bodies of that stream, on any thread.
#pragma once

#include <cstddef>
#include <memory>

#include "runtime/device/device.hpp"

namespace lockstep {

class CudaCopies {
 public:
  explicit CudaCopies(Device& device);  // on the current GPU, the device's
  ~CudaCopies();
  CudaCopies(const CudaCopies&) = delete;
  CudaCopies& operator=(const CudaCopies&) = delete;
  void go_out_in(Stream& stream);

  void enter() const;  // the calling thread works on this GPU now
  // Launched; `host` is page-locked.
  void out(std::byte* host, const std::byte* gpu, std::size_t bytes);
  void in(std::byte* gpu, const std::byte* host, std::size_t bytes);
  void on_gpu(std::byte* to, const std::byte* from, std::size_t bytes);  // as out()

  // What was launched so far in that direction.
  class Mark {
   public:
    Mark() = default;  // nothing
    bool done() const;

   private:
    friend class CudaCopies;
    std::shared_ptr<void> event_;
  };
  Mark mark_out();
  Mark mark_in();

  static std::shared_ptr<std::byte> pinned(std::size_t bytes);

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace lockstep
