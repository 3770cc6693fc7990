// SPDX-License-Identifier: Apache-2.0
// What this rank's device computes in one type, while all other ranks compute as well: products
// over a lattice of shapes, attention, every streaming kernel of a training step over bytes, memory
// bandwidth, the peak.
//
// A kernel works on several sets of tensors in turn, 4 MiB in all or more (on a GPU 128), so that
// no core's own cache holds them: as weights and gradients are found in training, where other
// layers were at work meanwhile. What is too short for the clock is timed several times at once; a
// GPU's clock are its events. There products of float32 are measured in TF32, too, and attention of
// bfloat16 by our kernels and by the library: what a job asks for is in its recording.
#pragma once

#include <optional>
#include <string>

#include "perfmodels/calibrate/extent.hpp"
#include "perfmodels/calibrate/kernel_runs.hpp"
#include "perfmodels/calibrate/sampler.hpp"
#include "perfmodels/machine/machine.hpp"
#include "runtime/device/device.hpp"

namespace lockstep {

class ComputeCalibration {
 public:
  ComputeCalibration(Sampler& sampler, Device& device, const Extent& extent,
                     DType values = DType::float32);
  ComputeProfile profile() const;
  // Items by what bounds them: the cores with their caches, memory.
  std::vector<std::size_t> items(Found found) const;

 private:
  struct Product {
    const char *name, *by;
    std::int64_t m, n, k;
    std::size_t item;
  };
  struct Attention {
    const char *name, *by;
    std::int64_t B, T, H, D;
    std::size_t item;
  };
  struct Streaming {
    std::string name;  // kernel_key()
    double bytes;
    std::size_t item;
    Found found;
  };

  void add_products(const Extent& extent);
  void add_product(const Extent& extent, const ProductKernel& kernel, std::int64_t m,
                   std::int64_t n, std::int64_t k);
  void add_attention(const Extent& extent);
  void add_attention(const Extent& extent, const AttentionKernel& kernel, std::int64_t B,
                     std::int64_t T, std::int64_t D);
  void add_streaming(const Extent& extent);
  void add_streaming(const Extent& extent, const StreamingKernel& kernel, std::int64_t least,
                     std::int64_t growth);
  void add_constants(const Extent& extent);
  std::size_t add(const char* name, double bytes, const std::function<Launch()>& prepare,
                  const Numerics& numerics, Found found = Found::cached);
  Figure seconds(std::size_t item) const { return sampler_.samples(item).figure(); }
  std::vector<KernelCurve> curves() const;

  Sampler& sampler_;
  Device& device_;
  const DType values_;
  const InTurn in_turn_;
  std::vector<Product> products_;
  std::vector<Attention> attention_;
  std::vector<Streaming> streaming_;
  std::size_t peak_ = 0, bandwidth_ = 0;
  std::optional<std::size_t> launch_;
  double bandwidth_bytes_ = 0;
};

}  // namespace lockstep
