// SPDX-License-Identifier: Apache-2.0
#include "collectives/backends/dry.hpp"

#include <algorithm>
#include <utility>

#include "collectives/backends/native.hpp"
#include "collectives/backends/table.hpp"
#include "collectives/select.hpp"

namespace lockstep::dry {

namespace {

class DryBackend : public Backend {
 public:
  DryBackend(int size, int rank, CommunicatorOptions options)
      : size_(size),
        rank_(rank),
        options_(std::move(options)),
        stands_for_(find_backend(options_.backend).name),
        selector_(options_.algorithm, size) {}

  int rank() const override { return rank_; }
  int size() const override { return size_; }
  const char* label(Collective what, std::size_t bytes) const override {
    return stands_for_ == "native" ? native::label(selector_, what, bytes) : stands_for_.data();
  }

  void all_reduce(const Elements&, ReduceOp) override {}
  void reduce_scatter(const Elements&, const Elements&, ReduceOp) override {}
  void all_gather(const Elements&, const Elements&) override {}
  void broadcast(const Elements&, int) override {}
  void send(const Elements&, int) override {}
  void receive(const Elements&, int) override {}
  void barrier() override {}

  std::unique_ptr<Backend> split(const std::vector<int>& colors) override {
    const auto me = colors.begin() + rank_;
    return make(static_cast<int>(std::count(colors.begin(), colors.end(), *me)),
                static_cast<int>(std::count(colors.begin(), me, *me)), options_);
  }

 private:
  int size_, rank_;
  CommunicatorOptions options_;
  std::string_view stands_for_;
  Selector selector_;
};

}  // namespace

std::unique_ptr<Backend> make(int size, int rank, const CommunicatorOptions& options) {
  return std::make_unique<DryBackend>(size, rank, options);
}

}  // namespace lockstep::dry
