// SPDX-License-Identifier: Apache-2.0
// Every algorithm of every table, on ranks that are threads, against serial arithmetic.
#include <atomic>
#include <random>

#include "collectives/algorithms/table.hpp"
#include "tests/collectives/ranks.hpp"
#include "tests/support/catch.hpp"

using namespace lockstep;
using namespace lockstep::test;

namespace {

constexpr int kRankCounts[] = {1, 2, 3, 4, 5, 7, 8};

// The result of each rank.
template <class T>
using Results = std::vector<std::vector<T>>;

template <class T>
Results<T> all_reduced(const Algorithm<AllReduce>& algorithm, int ranks, std::size_t count,
                       ReduceOp op) {
  Results<T> results(static_cast<std::size_t>(ranks));
  on_ranks(ranks, [&](Transport& net) {
    auto data = contributions<T>(net.rank(), count);
    algorithm.run(net, elements(data), op);
    finish(elements(data), op, ranks);
    results[static_cast<std::size_t>(net.rank())] = std::move(data);
  });
  return results;
}

template <class T>
void check_all_reduce(const Algorithm<AllReduce>& algorithm, int ranks, std::size_t count,
                      ReduceOp op) {
  const Results<T> expected(static_cast<std::size_t>(ranks), serial_reduction<T>(ranks, count, op));
  CHECK(all_reduced<T>(algorithm, ranks, count, op) == expected);
}

}  // namespace

TEST_CASE("every all-reduce equals the serial reduction", "[unit]") {
  for (const auto& algorithm : kAllReduceAlgorithms) {
    for (int ranks : kRankCounts) {
      for (std::size_t count : counts_for(ranks)) {
        INFO(algorithm.label << " ranks " << ranks << " count " << count);
        check_all_reduce<float>(algorithm, ranks, count, ReduceOp::sum);
      }
    }
  }
}

TEST_CASE("every all-reduce has every type and operation", "[unit]") {
  for (const auto& algorithm : kAllReduceAlgorithms) {
    for (int ranks : {3, 4}) {
      for (ReduceOp op : kOps) {
        INFO(algorithm.label << " ranks " << ranks << " op " << static_cast<int>(op));
        check_all_reduce<float>(algorithm, ranks, 77, op);
        check_all_reduce<double>(algorithm, ranks, 77, op);
        check_all_reduce<std::int32_t>(algorithm, ranks, 77, op);
        check_all_reduce<std::int64_t>(algorithm, ranks, 77, op);
        check_all_reduce<std::uint8_t>(algorithm, ranks, 77, op);
      }
    }
  }
}

TEST_CASE("every all-reduce gives the same bits on every rank", "[unit]") {
  for (const auto& algorithm : kAllReduceAlgorithms) {
    for (int ranks : kRankCounts) {
      Results<float> results(static_cast<std::size_t>(ranks));
      on_ranks(ranks, [&](Transport& net) {
        std::mt19937 random(static_cast<unsigned>(net.rank()));
        std::normal_distribution<float> normal;
        std::vector<float> data(501);
        for (float& x : data)
          x = normal(random);
        algorithm.run(net, elements(data), ReduceOp::sum);
        results[static_cast<std::size_t>(net.rank())] = std::move(data);
      });
      INFO(algorithm.label << " ranks " << ranks);
      for (const auto& result : results)
        CHECK(result == results[0]);
    }
  }
}

TEST_CASE("every reduce-scatter leaves each rank its block of the reduction", "[unit]") {
  for (const auto& algorithm : kReduceScatterAlgorithms) {
    for (int ranks : kRankCounts) {
      for (std::size_t count : counts_for(ranks)) {
        Results<float> shards(static_cast<std::size_t>(ranks)), inputs = shards;
        on_ranks(ranks, [&](Transport& net) {
          const int me = net.rank();
          auto full = contributions<float>(me, count);
          std::vector<float> shard(block_bounds(count, ranks, me).count);
          algorithm.run(net, elements(shard), elements(full), ReduceOp::sum);
          shards[static_cast<std::size_t>(me)] = std::move(shard);
          inputs[static_cast<std::size_t>(me)] = std::move(full);
        });
        INFO(algorithm.label << " ranks " << ranks << " count " << count);
        const auto expected = serial_reduction<float>(ranks, count, ReduceOp::sum);
        for (int r = 0; r < ranks; ++r) {
          CHECK(shards[static_cast<std::size_t>(r)] == block(expected, ranks, r));
          CHECK(inputs[static_cast<std::size_t>(r)] == contributions<float>(r, count));
        }
      }
    }
  }
}

TEST_CASE("every reduce-scatter may leave the shard in the input", "[unit]") {
  for (const auto& algorithm : kReduceScatterAlgorithms) {
    for (int ranks : kRankCounts) {
      Results<float> shards(static_cast<std::size_t>(ranks));
      on_ranks(ranks, [&](Transport& net) {
        auto full = contributions<float>(net.rank(), 19);
        algorithm.run(net, block_of(elements(full), ranks, net.rank()), elements(full),
                      ReduceOp::sum);
        shards[static_cast<std::size_t>(net.rank())] = block(full, ranks, net.rank());
      });
      INFO(algorithm.label << " ranks " << ranks);
      const auto expected = serial_reduction<float>(ranks, 19, ReduceOp::sum);
      for (int r = 0; r < ranks; ++r) {
        CHECK(shards[static_cast<std::size_t>(r)] == block(expected, ranks, r));
      }
    }
  }
}

TEST_CASE("every all-gather joins the blocks of all ranks", "[unit]") {
  for (const auto& algorithm : kAllGatherAlgorithms) {
    for (int ranks : kRankCounts) {
      for (std::size_t count : counts_for(ranks)) {
        const auto whole = contributions<std::int32_t>(3, count);
        Results<std::int32_t> results(static_cast<std::size_t>(ranks));
        on_ranks(ranks, [&](Transport& net) {
          auto shard = block(whole, ranks, net.rank());
          std::vector<std::int32_t> full(count, -1);
          algorithm.run(net, elements(full), elements(shard));
          results[static_cast<std::size_t>(net.rank())] = std::move(full);
        });
        INFO(algorithm.label << " ranks " << ranks << " count " << count);
        for (const auto& result : results)
          CHECK(result == whole);
      }
    }
  }
}

TEST_CASE("every broadcast brings the data of any root to all ranks", "[unit]") {
  for (const auto& algorithm : kBroadcastAlgorithms) {
    for (int ranks : kRankCounts) {
      for (std::size_t count : counts_for(ranks)) {
        for (int root = 0; root < ranks; ++root) {
          Results<double> results(static_cast<std::size_t>(ranks));
          on_ranks(ranks, [&](Transport& net) {
            auto data = contributions<double>(net.rank(), count);
            algorithm.run(net, elements(data), root);
            results[static_cast<std::size_t>(net.rank())] = std::move(data);
          });
          INFO(algorithm.label << " ranks " << ranks << " count " << count << " root " << root);
          for (const auto& result : results)
            CHECK(result == contributions<double>(root, count));
        }
      }
    }
  }
}

TEST_CASE("no rank leaves a barrier before the last has come", "[unit]") {
  for (const auto& algorithm : kBarrierAlgorithms) {
    for (int ranks : kRankCounts) {
      std::atomic<int> arrived{0}, early{0};
      on_ranks(ranks, [&](Transport& net) {
        for (int round = 1; round <= 20; ++round) {
          ++arrived;
          algorithm.run(net);
          if (arrived < round * ranks) ++early;
          algorithm.run(net);  // nobody counts for the next round before all have looked
        }
      });
      INFO(algorithm.label << " ranks " << ranks);
      CHECK(early == 0);
    }
  }
}

TEST_CASE("formulas price nothing for one rank, and more for more", "[unit]") {
  auto check = [](const auto& table) {
    for (const auto& algorithm : table) {
      INFO(algorithm.label);
      CHECK(algorithm.seconds(1, 1e6, kDefaultLink) == 0);
      CHECK(algorithm.seconds(2, 1e6, kDefaultLink) > 0);
      CHECK(algorithm.seconds(16, 1e6, kDefaultLink) > algorithm.seconds(2, 1e6, kDefaultLink));
    }
  };
  check(kAllReduceAlgorithms);
  check(kReduceScatterAlgorithms);
  check(kAllGatherAlgorithms);
  check(kBroadcastAlgorithms);
  check(kBarrierAlgorithms);
}
