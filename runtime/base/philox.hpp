// SPDX-License-Identifier: Apache-2.0
// Philox4x32-10: counter-based random numbers. The same (key, counter) gives the same four words
// on every rank, thread and device, so weights, dropout masks and data order do not depend on the
// layout. J. Salmon et al., "Parallel random numbers: as easy as 1, 2, 3", SC 2011.
#pragma once

#include <cstdint>

#include "runtime/base/host_device.hpp"

namespace lockstep {

struct PhiloxBlock {
  std::uint32_t word[4];
};

LOCKSTEP_HD PhiloxBlock philox(std::uint64_t key, std::uint64_t counter, std::uint64_t stream = 0) {
  std::uint32_t c0 = static_cast<std::uint32_t>(counter), c1 = counter >> 32;
  std::uint32_t c2 = static_cast<std::uint32_t>(stream), c3 = stream >> 32;
  std::uint32_t k0 = static_cast<std::uint32_t>(key), k1 = key >> 32;
  for (int round = 0; round < 10; ++round) {
    const std::uint64_t a = std::uint64_t{0xD2511F53} * c0, b = std::uint64_t{0xCD9E8D57} * c2;
    const std::uint32_t n0 = static_cast<std::uint32_t>(b >> 32) ^ c1 ^ k0;
    const std::uint32_t n2 = static_cast<std::uint32_t>(a >> 32) ^ c3 ^ k1;
    c1 = static_cast<std::uint32_t>(b);
    c3 = static_cast<std::uint32_t>(a);
    c0 = n0;
    c2 = n2;
    k0 += 0x9E3779B9;
    k1 += 0xBB67AE85;
  }
  return {{c0, c1, c2, c3}};
}

// Uniform in [0, 1) with 24 bits, so that every float in it is exact.
LOCKSTEP_HD float uniform01(std::uint32_t word) {
  return (word >> 8) * (1.0f / 16777216.0f);
}

// What a stream of random numbers is for; part of every key, so purposes never share numbers.
enum class RandomPurpose : std::uint64_t { weights = 1, dropout = 2, data_order = 3, sampling = 4 };

// `index` says which of them: a parameter, a layer, an epoch. Never a rank.
LOCKSTEP_HD std::uint64_t random_key(std::uint64_t seed, RandomPurpose purpose,
                                     std::uint64_t index = 0) {
  const PhiloxBlock b = philox(seed, index, static_cast<std::uint64_t>(purpose));
  return (std::uint64_t{b.word[1]} << 32) | b.word[0];
}

}  // namespace lockstep
