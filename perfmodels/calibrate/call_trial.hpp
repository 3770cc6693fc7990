// SPDX-License-Identifier: Apache-2.0
// One collective of one size, served by every candidate in turn, timed as `lockstep bench` times
// it: every rank rewrites its whole input (untimed), all meet at a barrier, each times its own
// call; the slowest rank counts. Several buffers in turn; calls below 2 us are timed 16 at a time.
//
// Every trial takes memory of its own from the system and gives it back: which pages a buffer gets
// changes what it costs by a third, for as long as it is kept, and medians are to be over many.
// On a GPU it is what allocate() gives, as buckets are; two buffers, which nobody writes again.
#pragma once

#include <string>
#include <vector>

#include "collectives/backend.hpp"
#include "collectives/sample_call.hpp"
#include "perfmodels/calibrate/sampler.hpp"
#include "runtime/device/device.hpp"

namespace lockstep {

// All that can serve it, the library included, in the same order on all ranks.
std::vector<Choice> candidates_for(const Backend& group, const Sample& sample);
// Over all ranks of a group whose elements are the device's.
void greatest(Backend& group, Device& device, std::span<double> values);

class CallTrial : public Trial {
 public:
  CallTrial(Backend& group, Device& device, const Sample& sample, std::vector<Choice> candidates);
  // One value for each candidate.
  void run(std::span<double> seconds) override;

 private:
  struct Buffer {
    std::shared_ptr<void> in, out;
    Call call;
  };

  std::shared_ptr<void> memory();
  std::shared_ptr<void> memory_of_gpu();
  void add_buffer();
  double timed(const Choice& choice, int batch);
  std::vector<double> time_each();
  void choose_batches();

  Backend& group_;
  Device& device_;
  std::unique_ptr<Device> fresh_ = make_cpu_device(CommunicationDriver::caller);
  Sample sample_;
  std::vector<Choice> candidates_;
  Choice barrier_;
  std::vector<Buffer> buffers_;
  std::vector<float> input_;
  std::vector<int> batches_;
  std::size_t next_ = 0, turn_ = 0;
};

}  // namespace lockstep
