// SPDX-License-Identifier: Apache-2.0
// Runs the actions of one stage, whatever their schedule: layers forward and backward, activations
// to the stage behind, gradients to the one before. A pipeline of one stage is the serial step.
//
//   volume  M C elements per micro-batch, boundary and direction (M/t with sequence parallelism)
//
// A message is submitted where its action stands and travels while the rank computes; a forward or
// backward waits for the message that it needs.
#pragma once

#include <functional>
#include <map>
#include <utility>
#include <vector>

#include "collectives/communicator.hpp"
#include "parallelism/pipeline/schedule.hpp"
#include "runtime/nn/sequential.hpp"

namespace lockstep {

// A stretch of layers that this rank holds, and the shapes between it and its neighbours.
struct PipelineChunk {
  nn::Sequential* layers = nullptr;
  std::int64_t input_columns = 0, output_columns = 0;  // C; none before the first part
};

// What goes in and comes out at the ends, for each micro-batch of a step.
struct PipelineEnds {
  std::function<MicroBatch(int)> batch;  // where its rows come from
  std::function<Tensor(int)> tokens;     // input of the first part
  // Of the last part: takes logits, gives their gradient.
  std::function<Tensor(int, Tensor)> loss;
  std::function<void(Parameter&)> ready;  // listener of the stashes
};

// Whether some weight gradient comes later than right behind its input gradient.
bool defers_weight_gradients(const std::vector<Action>& actions);

// The schedule with its messages, in the order in which this executor makes them: passes that stand
// together run as one, and what they make leaves behind both.
PipelineSchedule with_executed_messages(const PipelineSchedule& schedule);

class PipelineExecutor {
 public:
  PipelineExecutor(std::vector<PipelineChunk> chunks, Communicator stages, Device& device);

  // One step. `actions` are those of this stage, with messages.
  void run(const std::vector<Action>& actions, const PipelineShape& shape,
           const PipelineEnds& ends);
  // One micro-batch forward only. The output of the last part on the last stage, nothing elsewhere.
  Tensor infer(const Tensor& tokens, const MicroBatch& batch);

  // Most micro-batches x chunks whose activations were kept at a time, in the last run.
  int peak_stored() const { return peak_stored_; }

 private:
  using Key = std::pair<int, int>;  // micro-batch, chunk
  struct Message {
    Tensor data;
    Work work;
  };
  struct Slot {  // a micro-batch in a chunk, from its forward to its weight gradients
    Stash stash;
    Tensor output{};  // to be sent; of the last part: the gradient of the logits
    Tensor dx{};      // to be sent
  };

  bool first(int chunk) const { return chunk == 0 && stages_.rank() == 0; }
  bool last(int chunk) const {
    return chunk + 1 == chunks() && stages_.rank() + 1 == stages_.size();
  }
  int chunks() const { return static_cast<int>(chunks_.size()); }
  int before() const { return (stages_.rank() + stages_.size() - 1) % stages_.size(); }
  int behind() const { return (stages_.rank() + 1) % stages_.size(); }

  void act(const std::vector<Action>& actions, std::size_t at, const PipelineEnds& ends);
  void forward(const Action& action, Stash::WeightGradients when, const PipelineEnds& ends);
  void backward(const Action& action);
  void send(Tensor data, int to);
  Message receive(const MicroBatch& batch, std::int64_t columns, int from);
  Tensor received(std::map<Key, Message>& from, const Key& key);

  std::vector<PipelineChunk> chunks_;
  Communicator stages_;
  Device& device_;
  std::map<Key, Slot> slots_;
  std::map<Key, Message> activations_, gradients_;  // on their way here
  std::vector<Work> sends_;
  int peak_stored_ = 0;
};

}  // namespace lockstep
