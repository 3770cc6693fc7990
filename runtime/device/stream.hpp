// SPDX-License-Identifier: Apache-2.0
// Streams order work, events order streams: the model of CUDA, on every device.
//
// A device has one that computes and one that communicates, or, where messages need no core, one
// for each lane: what the groups of one axis of the mesh do is in order, and the compute stream
// waits for no other. On the cpu the compute stream runs inline and the communication stream is one
// worker thread with an ordered queue (or, where MPI offers no thread support, inline as well: the
// caller drives it). On cuda each has a CUDA stream besides, and one thread feeds all lanes in
// program order (cuda_stream.hpp). On the dry device all only record.
#pragma once

#include <array>
#include <functional>
#include <memory>

#include "runtime/device/dry_policy.hpp"
#include "runtime/device/recording.hpp"
#include "runtime/device/under_way.hpp"

namespace lockstep {

// Completes when everything submitted to a stream before it is done. A copy is the same event.
//
// The worker is not woken for every submission. What is submitted starts with the next kernel of
// the compute stream (the caller computes, so the worker is needed), or when somebody waits for it:
// the waiter then carries it out itself, which saves two changes of threads (some 50 us) for a
// short operation. After a millisecond the worker looks by itself.
class Event {
 public:
  class State {  // what it waits for, by the stream that made it
   public:
    virtual ~State() = default;
    virtual bool complete() = 0;
    virtual void wait() = 0;
  };

  Event();  // already complete
  explicit Event(std::shared_ptr<State> state);
  bool done() const;
  void wait() const;  // blocks the calling thread; rethrows what the stream threw
  State* state() const { return state_.get(); }

 private:
  std::shared_ptr<State> state_;
};

class Stream {
 public:
  using Body = std::function<void()>;

  explicit Stream(StreamKind kind, Lane lane = Lane::world) : kind_(kind), lane_(lane) {}
  virtual ~Stream() = default;
  Stream(const Stream&) = delete;
  Stream& operator=(const Stream&) = delete;

  // Runs `body` after all that was submitted before. The body owns (copies of) the tensors it uses.
  virtual void run(const Operation& operation, Body body) = 0;
  virtual Event record() = 0;
  virtual void wait(const Event& event) = 0;  // later work waits for it; the caller may not
  void synchronize() { record().wait(); }
  // Asks `work`, of the body that runs or of the caller, until it is done; later events come behind
  // it and carry what it throws.
  virtual void attend(std::unique_ptr<UnderWay> work);
  virtual void wake() {}  // the caller is about to compute: what was submitted needs a thread

  // Where run() returns when the body is done, the caller may as well carry it out by itself and
  // note when.
  virtual bool immediate() const { return false; }
  virtual void note(const Operation& operation, double begin, double end);
  // The seconds that this stream takes for what `work` submits to it; comes back when it is done.
  // On a GPU by events, so without the time that submitting takes.
  virtual double seconds_of(const Body& work);
  // How PhaseSpan notes a stretch of this stream, which began at the host's time `begin`.
  virtual void begin_phase(const char*) {}
  virtual void end_phase(const Operation& phase, double begin);
  virtual bool executes() const { return true; }     // false on the dry device: nothing is computed
  virtual double busy_seconds() const { return 0; }  // time spent in bodies since the start
  // Time that callers spent in this stream's work: waiting for it, or carrying it out themselves.
  virtual double exposed_seconds() const { return 0; }
  // The cudaStream_t of a stream of the cuda device; nullptr elsewhere.
  virtual void* native() const { return nullptr; }
  virtual void record_into(Recording* recording) { recording_ = recording; }  // nullptr: stop
  Recording* recording() const { return recording_; }

 protected:
  StreamKind kind() const { return kind_; }
  Lane lane() const { return lane_; }

 private:
  const StreamKind kind_;
  const Lane lane_;
  Recording* recording_ = nullptr;
};

// True on a thread that works beside one that computes, most likely on the same core.
bool in_background();

// Runs in the caller. `beside` is woken before each body.
std::unique_ptr<Stream> make_inline_stream(StreamKind kind, Stream* beside = nullptr);
// `between` is called by its thread between two bodies and, with nothing to do, each millisecond.
std::unique_ptr<Stream> make_worker_stream(StreamKind kind, Stream::Body between = {});
std::unique_ptr<Stream> make_dry_stream(StreamKind kind, const DryPolicy& policy = {},
                                        Lane lane = Lane::world);

// A named stretch of the compute stream in the trace: "forward", "backward", "reduce", "update". On
// the dry device without times, and what it covers are the records that were added while it lived.
class PhaseSpan {
 public:
  // `of`: which pass it is, micro-batch and chunk.
  PhaseSpan(Stream& stream, const char* name, std::array<std::int64_t, 2> of = {});
  ~PhaseSpan();
  PhaseSpan(const PhaseSpan&) = delete;
  PhaseSpan& operator=(const PhaseSpan&) = delete;

 private:
  Stream& stream_;
  const char* name_;
  std::array<std::int64_t, 2> of_;
  double begin_;
  int first_;  // record
};

}  // namespace lockstep
