// SPDX-License-Identifier: Apache-2.0
#include "slurm/preflight/links.hpp"

#include <algorithm>
#include <cstddef>

#include "runtime/base/clock.hpp"

namespace lockstep::slurm {

namespace {

constexpr std::size_t kMessageBytes = std::size_t{4} << 20;  // far beyond any eager limit
constexpr int kTag = 2;
constexpr int kMostExchanges = 1000;

class Exchanges {
 public:
  explicit Exchanges(MPI_Comm comm) : comm_(comm), out_(kMessageBytes), in_(kMessageBytes) {}

  // Bytes per second each way, over about so many seconds: more exchanges as long as there is time
  // for them, as the lower one of the pair sees it.
  double rate(double seconds, int me, int partner) {
    time(1, partner);  // connects
    double spent = 0, moved = 0;
    for (int count = 1; count > 0;
         count = agree(more(seconds - spent, spent / moved), me, partner)) {
      spent += time(count, partner);
      moved += count;
    }
    return moved * static_cast<double>(kMessageBytes) / spent;
  }

 private:
  // As many as take half of what is left: speeds change while others use the network.
  static int more(double seconds_left, double seconds_each) {
    return static_cast<int>(
        std::clamp(seconds_left / seconds_each / 2, 0.0, double{kMostExchanges}));
  }

  // Seconds of `count` exchanges.
  double time(int count, int partner) {
    const double begin = now();
    for (int i = 0; i < count; ++i) {
      check_mpi(MPI_Sendrecv(out_.data(), static_cast<int>(kMessageBytes), MPI_BYTE, partner, kTag,
                             in_.data(), static_cast<int>(kMessageBytes), MPI_BYTE, partner, kTag,
                             comm_, MPI_STATUS_IGNORE));
    }
    return now() - begin;
  }

  // Both of a pair must agree on the count: the lower one tells.
  int agree(int count, int me, int partner) {
    if (me < partner) {
      check_mpi(MPI_Send(&count, 1, MPI_INT, partner, kTag, comm_));
    } else {
      check_mpi(MPI_Recv(&count, 1, MPI_INT, partner, kTag, comm_, MPI_STATUS_IGNORE));
    }
    return count;
  }

  MPI_Comm comm_;
  std::vector<std::byte> out_, in_;
};

// Bytes per second each way, this participant's row.
std::vector<double> measure_row(MPI_Comm comm, double seconds) {
  int me = 0, n = 0;
  check_mpi(MPI_Comm_rank(comm, &me));
  check_mpi(MPI_Comm_size(comm, &n));
  std::vector<double> row(static_cast<std::size_t>(n));
  Exchanges exchanges(comm);
  const auto rounds = tournament(n);
  for (const auto& partners : rounds) {
    check_mpi(MPI_Barrier(comm));
    const int partner = partners[static_cast<std::size_t>(me)];
    if (partner < 0) continue;
    row[static_cast<std::size_t>(partner)] =
        exchanges.rate(seconds / static_cast<double>(rounds.size()), me, partner);
  }
  return row;
}

}  // namespace

std::vector<std::vector<int>> tournament(int n) {
  const int seats = n + n % 2;  // odd: whoever meets the last seat rests
  std::vector<std::vector<int>> rounds;
  for (int round = 0; round + 1 < seats; ++round) {
    std::vector<int> partner(static_cast<std::size_t>(n), -1);
    const auto seat = [&](int i) { return i == 0 ? 0 : (i - 1 + round) % (seats - 1) + 1; };
    for (int i = 0; i < seats / 2; ++i) {
      const int a = seat(i), b = seat(seats - 1 - i);
      if (a >= n || b >= n) continue;
      partner[static_cast<std::size_t>(a)] = b;
      partner[static_cast<std::size_t>(b)] = a;
    }
    rounds.push_back(std::move(partner));
  }
  return rounds;
}

LinkRates measure_links(const Context& context, double seconds) {
  LinkRates links;
  links.of_nodes = context.nodes() > 1;
  const bool takes_part = !links.of_nodes || context.local_rank() == 0;
  const CommHandle group = split(context.world(), takes_part ? 0 : 1, context.rank());
  if (!takes_part) return links;
  const std::vector<double> row = measure_row(group.get(), seconds);
  const auto n = row.size();
  std::vector<double> all(context.first() ? n * n : 0);
  check_mpi(MPI_Gather(row.data(), static_cast<int>(n), MPI_DOUBLE, all.data(), static_cast<int>(n),
                       MPI_DOUBLE, 0, group.get()));
  for (std::size_t i = 0; i * n < all.size(); ++i)
    links.rates.emplace_back(all.begin() + static_cast<std::ptrdiff_t>(i * n),
                             all.begin() + static_cast<std::ptrdiff_t>((i + 1) * n));
  return links;
}

}  // namespace lockstep::slurm
