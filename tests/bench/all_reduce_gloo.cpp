// SPDX-License-Identifier: Apache-2.0
// all_reduce_gloo FILE RANK SIZE STORE BYTES...: Gloo's ring all-reduce over TCP on the loopback
// interface, the way PyTorch uses it. STORE is an empty directory in which the ranks find each
// other.
#include <memory>

#include <gloo/allreduce.h>
#include <gloo/math.h>
#include <gloo/rendezvous/context.h>
#include <gloo/rendezvous/file_store.h>
#include <gloo/transport/tcp/device.h>

#include "tests/bench/all_reduce_loop.hpp"

int main(int argc, char** argv) {
  const int rank = std::atoi(argv[2]), size = std::atoi(argv[3]);
  gloo::transport::tcp::attr attributes;
  attributes.iface = "lo";
  auto device = gloo::transport::tcp::CreateDevice(attributes);
  auto context = std::make_shared<gloo::rendezvous::Context>(rank, size);
  gloo::rendezvous::FileStore store(argv[4]);
  context->connectFullMesh(store, device);

  bench::Meeting meeting(argv[1], rank, size, 2);  // Gloo has a thread for its sockets
  const auto sizes = bench::sizes_from(argc, argv, 5);
  std::vector<float> data(*std::max_element(sizes.begin(), sizes.end()) / sizeof(float));
  std::vector<bench::Candidate> candidates{
      {"gloo", data.data(), [&](std::size_t count) {
         gloo::AllreduceOptions options(context);
         options.setOutput(data.data(), count);
         options.setAlgorithm(gloo::AllreduceOptions::Algorithm::RING);
         options.setReduceFunction(
             static_cast<void (*)(void*, const void*, const void*, std::size_t)>(
                 &gloo::sum<float>));
         gloo::allreduce(options);
       }}};
  bench::measure(meeting, rank, size, candidates, sizes);
}
