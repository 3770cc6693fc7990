// SPDX-License-Identifier: Apache-2.0
// A network switch in user space, for kernels without netem: one TAP device in the network
// namespace of every node, and between them a delay and a rate for each pair.
//
//   switch NETS_FOLDER NODES DELAY_US RATE_MBIT [PAIRS_FILE]     until it gets SIGTERM
//   lines of the file: "pair FROM TO DELAY_US RATE_MBIT"
//
// A frame of L bytes leaves through its node's port in L/rate, travels for the delay, and enters
// through the other node's port, of the same rate; uncontended it takes L/rate + delay. A port
// serves connections in turn, some packets of each, so that a short message never waits
// behind all bulk data of another pair of ranks. Nothing is lost, queues have no bound. TCP hands
// over frames of up to 16 KiB (segmentation offload), which keeps the work per byte low and the
// headers' share of the rate below 1 %.
//
// Prepares each namespace's interface "sw0" with the address 10.78.0.(node+1).
#include <algorithm>
#include <array>
#include <cerrno>
#include <csignal>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <ctime>
#include <deque>
#include <fstream>
#include <limits>
#include <map>
#include <memory>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

#include <fcntl.h>
#include <linux/if_tun.h>
#include <net/if.h>
#include <poll.h>
#include <sched.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <unistd.h>

namespace {

using Nanoseconds = std::int64_t;
constexpr Nanoseconds kNever = std::numeric_limits<Nanoseconds>::max();
constexpr int kOffloadHeader = 10;  // bytes of virtio_net_hdr before every frame
constexpr int kLargestOffload = 16384;
constexpr int kBytesPerTurn = 4096;  // of a frame, before another connection has its turn
constexpr int kFramesPerRead = 16;   // of one node, before the others have their turn
constexpr const char* kAddressPrefix = "02:00:00:00:00:";

volatile std::sig_atomic_t g_stop = 0;

Nanoseconds now() {
  timespec t{};
  clock_gettime(CLOCK_MONOTONIC, &t);
  return t.tv_sec * Nanoseconds{1'000'000'000} + t.tv_nsec;
}

int check(int result, const std::string& what) {
  if (result < 0) throw std::runtime_error(what + ": " + std::strerror(errno));
  return result;
}

struct Path {
  Nanoseconds delay = 0;
  double ns_per_byte = 0;
};
using Paths = std::vector<std::vector<Path>>;

Path path(double delay_us, double rate_mbit) {
  return {static_cast<Nanoseconds>(delay_us * 1e3), rate_mbit > 0 ? 8e3 / rate_mbit : 0};
}

void read_pairs(const char* file, Paths& paths) {
  std::ifstream in(file);
  if (!in) throw std::runtime_error(std::string(file) + " cannot be read");
  std::string word;
  std::size_t from = 0, to = 0;
  double delay = 0, rate = 0;
  while (in >> word) {
    if (word != "pair" || !(in >> from >> to >> delay >> rate)) {
      throw std::runtime_error(std::string(file) + ": expected 'pair FROM TO DELAY_US RATE_MBIT'");
    }
    paths.at(from).at(to) = path(delay, rate);
  }
}

struct Frame {
  std::array<char, 66000> bytes;
  int size = 0;  // with the offload header
  int left = 0;  // of its bytes on the wire
  Nanoseconds time = 0;
  int wire_bytes() const { return size - kOffloadHeader; }
  // Both ports of TCP, behind 14 bytes of Ethernet and 20 of IP.
  std::uint32_t connection() const {
    std::uint32_t ports = 0;
    if (size >= kOffloadHeader + 38) std::memcpy(&ports, bytes.data() + kOffloadHeader + 34, 4);
    return ports;
  }
  // The last byte of the Ethernet address says the node; -1: to all of them.
  int to() const {
    const char* address = bytes.data() + kOffloadHeader;
    return address[0] == 2 ? static_cast<unsigned char>(address[5]) - 1 : -1;
  }
};
using FramePtr = std::unique_ptr<Frame>;
using Flow = std::pair<std::size_t, std::uint32_t>;  // to which node, on which connection

// A TAP device in the namespace that the file stands for; the address and all neighbours are set,
// so that nobody asks.
int open_device(const std::string& net, int node, int nodes) {
  const int file = check(open(net.c_str(), O_RDONLY | O_CLOEXEC), net);
  check(setns(file, CLONE_NEWNET), "entering " + net);
  close(file);
  const int tap = check(open("/dev/net/tun", O_RDWR | O_NONBLOCK | O_CLOEXEC), "/dev/net/tun");
  ifreq request{};
  std::strcpy(request.ifr_name, "sw0");
  request.ifr_flags = IFF_TAP | IFF_NO_PI | IFF_VNET_HDR;
  int header = kOffloadHeader, send_buffer = std::numeric_limits<int>::max();
  check(ioctl(tap, TUNSETIFF, &request), "making a TAP device");
  check(ioctl(tap, TUNSETVNETHDRSZ, &header), "TUNSETVNETHDRSZ");
  check(ioctl(tap, TUNSETOFFLOAD, TUN_F_CSUM | TUN_F_TSO4), "TUNSETOFFLOAD");
  check(ioctl(tap, TUNSETSNDBUF, &send_buffer), "TUNSETSNDBUF");

  const auto address = [](int n) { return "10.78.0." + std::to_string(n + 1); };
  const auto ethernet = [](int n) {
    std::array<char, 4> hex{};
    std::snprintf(hex.data(), hex.size(), "%02x", static_cast<unsigned>(n + 1) & 0xff);
    return kAddressPrefix + std::string(hex.data());
  };
  // A large first window: what the network can do is measured, not how TCP finds out.
  std::string commands = "ip link set sw0 address " + ethernet(node) +
                         " mtu 1500 txqueuelen 10000 gso_max_size " +
                         std::to_string(kLargestOffload) + " up && ip addr add " + address(node) +
                         "/24 dev sw0 && ip route change 10.78.0.0/24 dev sw0 src " +
                         address(node) + " initcwnd 400 initrwnd 400";
  for (int other = 0; other < nodes; ++other) {
    if (other == node) continue;
    commands += " && ip neigh add " + address(other) + " lladdr " + ethernet(other) + " dev sw0";
  }
  if (std::system(commands.c_str()) != 0) throw std::runtime_error("ip has failed in " + net);
  return tap;
}

class Switch {
 public:
  Switch(const std::string& nets, Paths paths) : paths_(std::move(paths)) {
    const int nodes = static_cast<int>(paths_.size());
    for (int i = 0; i < nodes; ++i) {
      const int tap = open_device(nets + "/n" + std::to_string(i), i, nodes);
      ports_.emplace_back(tap);
      polled_.push_back({tap, POLLIN, 0});
    }
  }

  void run() {
    while (!g_stop) {
      const bool took = take_frames();
      const Nanoseconds next_departure = send_off();
      const auto [gave, next_arrival] = deliver();
      if (!took && !gave) sleep_until(std::min(next_departure, next_arrival));
    }
  }

  void report() const {
    std::fprintf(stderr,
                 "switch: %lld frames, %.3g bytes, late by %.1f us on average, %.1f us at most\n",
                 frames_, bytes_,
                 frames_ ? static_cast<double>(late_) / 1e3 / static_cast<double>(frames_) : 0.0,
                 static_cast<double>(latest_) / 1e3);
  }

 private:
  struct Port {
    explicit Port(int device) : tap(device) {}
    Port(Port&&) noexcept = default;  // a deque's own may throw, so vector would copy
    int tap;
    std::map<Flow, std::deque<FramePtr>> leaving;
    std::deque<Flow> turns;  // of those that are not empty
    Nanoseconds out_free = 0, in_free = 0;
    std::deque<FramePtr> arriving;  // in the order of their times
  };

  // From all nodes, what they have sent.
  bool take_frames() {
    bool any = false;
    for (Port& port : ports_) {
      for (int i = 0; i < kFramesPerRead; ++i) {
        FramePtr frame = unused();
        frame->size = static_cast<int>(read(port.tap, frame->bytes.data(), frame->bytes.size()));
        if (frame->size <= kOffloadHeader) {
          unused_.push_back(std::move(frame));
          break;
        }
        any = true;
        const int to = frame->to();
        if (to < 0 || to >= static_cast<int>(ports_.size())) {
          unused_.push_back(std::move(frame));
          continue;
        }
        frame->time = now();
        frame->left = frame->wire_bytes();
        const Flow flow{static_cast<std::size_t>(to), frame->connection()};
        if (port.leaving[flow].empty()) port.turns.push_back(flow);
        port.leaving[flow].push_back(std::move(frame));
      }
    }
    return any;
  }

  // Every port that is free sends what is next; returns when the first one will be free again.
  Nanoseconds send_off() {
    Nanoseconds next = kNever;
    const Nanoseconds time = now();
    for (std::size_t from = 0; from < ports_.size(); ++from) {
      Port& port = ports_[from];
      while (!port.turns.empty() && port.out_free <= time)
        send_next(from);
      if (!port.turns.empty()) next = std::min(next, port.out_free);
    }
    return next;
  }

  // Some of the frame whose turn it is: connections share the port as packets do.
  void send_next(std::size_t from) {
    Port& port = ports_[from];
    const Flow flow = port.turns.front();
    port.turns.pop_front();
    std::deque<FramePtr>& queue = port.leaving[flow];
    Frame& frame = *queue.front();
    const int some = std::min(frame.left, kBytesPerTurn);
    frame.left -= some;

    const Path& way = paths_[from][flow.first];
    Port& to = ports_[flow.first];
    const auto serial = static_cast<Nanoseconds>(some * way.ns_per_byte);
    port.out_free = std::max(port.out_free, frame.time) + serial;
    to.in_free = std::max(port.out_free + way.delay, to.in_free + serial);
    if (frame.left == 0) {
      frame.time = to.in_free;
      to.arriving.push_back(std::move(queue.front()));
      queue.pop_front();
    }
    if (!queue.empty()) port.turns.push_back(flow);
  }

  struct Delivered {
    bool any;
    Nanoseconds next;
  };
  Delivered deliver() {
    Delivered result{false, kNever};
    for (Port& port : ports_) {
      while (!port.arriving.empty() && port.arriving.front()->time <= now()) {
        FramePtr frame = std::move(port.arriving.front());
        port.arriving.pop_front();
        count(*frame);
        // A device that is going away takes nothing: its node has ended.
        [[maybe_unused]] const auto written =
            write(port.tap, frame->bytes.data(), static_cast<std::size_t>(frame->size));
        unused_.push_back(std::move(frame));
        result.any = true;
      }
      if (!port.arriving.empty()) result.next = std::min(result.next, port.arriving.front()->time);
    }
    return result;
  }

  void count(const Frame& frame) {
    const Nanoseconds late = now() - frame.time;
    ++frames_;
    bytes_ += frame.wire_bytes();
    late_ += late;
    latest_ = std::max(latest_, late);
  }

  void sleep_until(Nanoseconds time) {
    if (time == kNever) {
      ppoll(polled_.data(), polled_.size(), nullptr, nullptr);
      return;
    }
    const Nanoseconds wait = time - now();
    if (wait <= 0) return;
    const timespec span{wait / 1'000'000'000, wait % 1'000'000'000};
    ppoll(polled_.data(), polled_.size(), &span, nullptr);
  }

  FramePtr unused() {
    if (unused_.empty()) return std::make_unique<Frame>();
    FramePtr frame = std::move(unused_.back());
    unused_.pop_back();
    return frame;
  }

  Paths paths_;
  std::vector<Port> ports_;
  std::vector<pollfd> polled_;
  std::vector<FramePtr> unused_;
  long long frames_ = 0;
  double bytes_ = 0;
  Nanoseconds late_ = 0, latest_ = 0;
};

// Wakes up in time where that is allowed; otherwise a little later.
void be_punctual() {
  prctl(PR_SET_TIMERSLACK, 1);
  const sched_param priority{.sched_priority = 20};
  sched_setscheduler(0, SCHED_FIFO, &priority);
}

void stop_on(int signal) {
  struct sigaction action {};
  action.sa_handler = [](int) { g_stop = 1; };  // and no restart: ppoll returns
  sigaction(signal, &action, nullptr);
}

}  // namespace

int main(int argc, char** argv) {
  if (argc < 5) {
    std::fputs("switch NETS_FOLDER NODES DELAY_US RATE_MBIT [PAIRS_FILE]\n", stderr);
    return 2;
  }
  try {
    const auto nodes = static_cast<std::size_t>(std::stoi(argv[2]));
    Paths paths(nodes, std::vector<Path>(nodes, path(std::stod(argv[3]), std::stod(argv[4]))));
    if (argc > 5) read_pairs(argv[5], paths);
    Switch network(argv[1], std::move(paths));
    be_punctual();
    stop_on(SIGTERM);
    stop_on(SIGINT);
    std::ofstream(std::string(argv[1]) + "/ready") << "\n";
    network.run();
    if (std::getenv("LOCKSTEP_SWITCH_REPORT")) network.report();
    return 0;
  } catch (const std::exception& e) {
    std::fprintf(stderr, "switch: %s\n", e.what());
    return 1;
  }
}
