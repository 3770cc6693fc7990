// SPDX-License-Identifier: Apache-2.0
// How fast the machine is at the moment: a product within caches and a copy through memory, on all
// ranks at once, half a second each. Measurements that lie minutes apart are told from a change of
// the machine by it.
//
//   mpirun -np 2 machine_speed        {"product": seconds, "copy": seconds}, mean over ranks
#include <cstdio>

#include "perfmodels/calibrate/kernel_runs.hpp"
#include "perfmodels/calibrate/statistics.hpp"
#include "runtime/base/clock.hpp"
#include "runtime/context/binding.hpp"
#include "runtime/context/context.hpp"

using namespace lockstep;

namespace {

constexpr double kSeconds = 0.4;
constexpr std::int64_t kWidth = 384, kElements = 1 << 23;

double median_seconds(const Context& context, const Launch& launch) {
  launch();  // pages, code
  context.barrier();
  std::vector<double> all;
  for (const double begin = now(); now() - begin < kSeconds;) {
    const double start = now();
    launch();
    all.push_back(now() - start);
  }
  double sum = median_of(all);
  check_mpi(MPI_Allreduce(MPI_IN_PLACE, &sum, 1, MPI_DOUBLE, MPI_SUM, context.world()));
  return sum / context.size();
}

template <class Kernels>
auto named(const Kernels& kernels, const std::string& name) {
  for (const auto& kernel : kernels) {
    if (kernel.name == name) return kernel;
  }
  throw LogicError("no kernel " + name);
}

}  // namespace

int main() {
  const Context context;
  set_threads(0, bind_to_cores(context, Topology()));
  const auto device = make_cpu_device(CommunicationDriver::caller);
  const Launch product =
      named(product_kernels(), "linear_forward").prepare(*device, kWidth, kWidth, kWidth);
  const Launch copy = named(streaming_kernels(), "copy").prepare(*device, kElements);
  const double product_seconds = median_seconds(context, product);
  const double copy_seconds = median_seconds(context, copy);
  if (context.first())
    std::printf("{\"product\": %.9g, \"copy\": %.9g}\n", product_seconds, copy_seconds);
  return 0;
}
