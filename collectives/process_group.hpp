// SPDX-License-Identifier: Apache-2.0
// The ranks behind a Communicator, shared by its copies, and how one call of theirs is carried out:
// by the backend, with a deadline, under the eyes of the flight recorder, until it is complete or
// left under way on a GPU. Only communicator.cpp needs it.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "collectives/backend.hpp"
#include "collectives/flight_recorder.hpp"
#include "collectives/options.hpp"
#include "runtime/tensor/tensor.hpp"

namespace lockstep {

class ProcessGroup : public std::enable_shared_from_this<ProcessGroup> {
 public:
  // Of now().
  struct Times {
    double begin, end;
  };

  ProcessGroup(std::string name, Device& device, std::unique_ptr<Backend> backend,
               CommunicatorOptions options, std::shared_ptr<FlightRecorder> recorder = nullptr,
               FlightRecorder::Group watched = {});

  const std::string& name() const { return name_; }
  Device& device() const { return device_; }
  Stream& queue() const { return queue_; }  // where its operations are submitted
  Backend& backend() const { return *backend_; }
  const OperationGroup& recorded() const { return recorded_; }

  // The group of the ranks r of equal colors[r], in the order of this group. Collective.
  std::shared_ptr<ProcessGroup> split(const std::string& name, const std::vector<int>& colors);

  // One at a time, in the order of the queue. An error says which call it was, and who is to blame.
  // `out` and `in` are the tensors behind the call; `tensors` those behind the messages.
  Times serve(const Call& call, const Choice& choice, const Tensor& out, const Tensor& in);
  void transfer(std::span<const Call> messages, const std::vector<Tensor>& tensors);

  // Before the ranks wait for each other inside a library, without a deadline: a rank that does not
  // come, or that calls something else, is found here. The queue must be empty.
  void expect_all();

 private:
  class Launched;
  template <class Body, class Keep>
  Times carry_out(std::span<const Call> calls, const char* label, Body body, Keep keep);
  FlightRecorder* watch() const { return backend_->size() > 1 ? recorder_.get() : nullptr; }
  [[noreturn]] void fail(FlightRecorder::Flight& flight, const Call& call, const char* label,
                         const SystemError& error, double seconds, std::vector<Tensor> tensors);

  std::string name_;
  Device& device_;
  Stream& queue_;
  std::shared_ptr<Backend> backend_;
  CommunicatorOptions options_;
  std::shared_ptr<FlightRecorder> recorder_;  // may be null
  FlightRecorder::Group watched_;
  std::uint64_t splits_ = 0;
  OperationGroup recorded_;  // for recordings
  std::unique_ptr<FlightRecorder::Flight> flight_;
};

}  // namespace lockstep
