#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Replays of our algorithms against SimGrid's, which runs the algorithms themselves.

  check_simulated.py BUILD_FOLDER [--quick]        status 77 where SimGrid is not installed

flat       every algorithm, all messages waiting for their receiver: within 1 % each. Not judged are two that
           keep several messages on one path: SimGrid shares its rate among them, our ports are queues.
fat-tree, gpu-nodes   latency and rate from single messages between two ranks; judged on all-reduces of 64 ranks and
           more: median error 8 %, p95 20 %. --quick: 64 ranks, and only the median is judged: of a dozen points p95 is the worst.
"""
import os, pathlib, shutil, statistics, subprocess, sys, tempfile

FLUID = {("all_reduce", "double_tree"), ("broadcast", "chain")}
OPTIONS = ["--log=" + c + ".thres:error" for c in ("smpi_config", "xbt_cfg", "smpi_colls", "smpi_coll")] + [
    "--cfg=" + c for c in ("smpi/simulate-computation:no", "smpi/wtime:0", "network/model:CM02",
                           "network/crosstraffic:0", "network/TCP-gamma:0",
                           "smpi/async-small-thresh:0", "smpi/send-is-detached-thresh:0")]
REDUCES = ",".join("all_reduce/" + a for a in (
    "ring", "recursive_doubling", "halving_doubling", "binomial", "hierarchical", "hierarchical_leader"))
# At 1024 ranks a ring is two million messages: half a minute of simulation for each size.
REDUCES_OF_1024 = REDUCES.replace("all_reduce/ring,", "")
CLUSTER = """<?xml version="1.0"?>
<!DOCTYPE platform SYSTEM "https://simgrid.org/simgrid.dtd">
<platform version="4.1">
 <cluster id="c" prefix="n" suffix="" radical="0-1023" speed="1Gf" bw="10GBps" sharing_policy="SPLITDUPLEX" %s/>
</platform>"""
root = pathlib.Path(__file__).resolve().parents[2]


class Bed:
    def __init__(self, build, folder):
        self.build, self.folder = pathlib.Path(build), pathlib.Path(folder)
        self.simulated = self.build / "simulated"
        (self.folder / "flat.xml").write_text(CLUSTER % 'lat="5us"')
        # 32 leaves of 32 hosts, 16 spines: half the rate of the hosts goes up.
        (self.folder / "fat-tree.xml").write_text(
            CLUSTER % 'lat="2.5us" topology="FAT_TREE" topo_parameters="2;32,32;1,16;1,1"')

    def make(self):
        subprocess.run(["cmake", "-S", root / "tests/testbed/simulated", "-B", self.simulated,
                        "-DCMAKE_CXX_COMPILER=smpicxx"], check=True, stdout=subprocess.DEVNULL,
                       env={**os.environ, "SMPI_PRETEND_CC": "1"})
        subprocess.run(["cmake", "--build", self.simulated, "-j2"], check=True, stdout=subprocess.DEVNULL)

    def simulate(self, platform, hosts, per_node, algorithms, sizes):
        """{(collective, algorithm, bytes): seconds}"""
        gpus = platform == "gpu-nodes"
        hostfile = self.folder / "hosts"
        hostfile.write_text("".join(f"{'gpu' if gpus else 'n'}{h}\n" for h in hosts))
        file = self.simulated / "libgpu_nodes.so" if gpus else self.folder / (platform + ".xml")
        command = ["smpirun", "-np", len(hosts), "-platform", file, "-hostfile", hostfile, *OPTIONS,
                   self.simulated / "simulated_collectives", per_node, algorithms, ",".join(map(str, sizes))]
        result = subprocess.run([str(c) for c in command], check=True, capture_output=True, text=True,
                                env={**os.environ, "SIMULATED_NODES": str(max(hosts) // 8 + 1)})
        return lines_of(result.stdout)

    def replay(self, ranks, per_node, ports, inside, across, cases, rank_ports="queue", eager=0):
        command = [self.build / "tests/testbed/replay_collectives", ranks, per_node, ports, eager, rank_ports,
                   *inside, *across]
        text = "".join(f"{c} {a} {b}\n" for c, a, b in cases)
        result = subprocess.run([str(c) for c in command], input=text, check=True, capture_output=True, text=True)
        return lines_of(result.stdout)

    def message(self, platform, peer):
        """L, g, G (LogGP) of messages between two ranks, from sizes that no check uses."""
        small, large = 2048, 512 << 10
        t = self.simulate(platform, [0, peer], 1, "path,broadcast/binomial", [small, large])
        one = [t["broadcast", "binomial", n] for n in (small, large)]
        G = (one[1] - one[0]) / (large - small)
        # The second of two messages arrives g + (n-1) G behind the first alone.
        g = t["path", "second", small] - one[0] - G * (small - 1)
        return one[0] - G * (small - 1), g, G


def lines_of(text):
    return {(w[0], w[1], int(w[4])): float(w[5]) for w in (line.split() for line in text.splitlines())}


def compare(name, simulated, replayed, errors):
    for case, seconds in simulated.items():
        error = replayed[case] / seconds - 1
        errors.append((abs(error), error, name, case))


def report(title, errors, median_limit, p95_limit):
    errors.sort()
    sizes = [e[0] for e in errors]
    p95 = sizes[min(len(sizes) - 1, int(0.95 * len(sizes)))]
    median = statistics.median(sizes)
    print(f"{title}: n {len(sizes)}, mean {statistics.mean(sizes):.2%}, median {median:.2%}, p95 {p95:.2%}, "
          f"max {sizes[-1]:.2%}, signed median {statistics.median(e[1] for e in errors):+.2%}; noise floor 0 (simulated)")
    for error in errors[:-4:-1]:
        print(f"   {error[1]:+.1%}  {error[2]}  {'/'.join(error[3][:2])} {error[3][2]} bytes")
    good = median <= median_limit and (p95_limit is None or p95 <= p95_limit)
    print("   " + ("holds" if good else "MISSED") + f": median {median_limit:.0%}" +
          (", p95 not judged" if p95_limit is None else f", p95 {p95_limit:.0%}"))
    return good


def check_flat(bed, ranks):
    across = bed.message("flat", 1)
    judged, fluid = [], []
    for p in ranks:
        simulated = bed.simulate("flat", range(p), 1, "all", [4096, 1 << 20])
        replayed = bed.replay(p, 1, 1, across, across, simulated)
        for case in simulated:
            compare(f"flat {p}", {case: simulated[case]}, replayed, fluid if case[:2] in FLUID else judged)
    good = report(f"flat, ranks {ranks}", judged, 0.01, 0.01)
    print("   worst is judged, limit 1 %: " + ("holds" if judged[-1][0] <= 0.01 else "MISSED"))
    fluid.sort()
    print("   not judged, several messages on one path: " + ", ".join(
        f"{f[3][1]} {f[3][2]} bytes {f[1]:+.1%} ({f[2]})" for f in fluid if f[0] > 0.01))
    return good and judged[-1][0] <= 0.01


def check_scaled(bed, platform, ranks):
    per_node = 8 if platform == "gpu-nodes" else 1
    # What shares ports to the level above: a node its NIC, a leaf its 16 links.
    group, ports = (8, 1) if platform == "gpu-nodes" else (32, 16)
    inside, across = bed.message(platform, 1), bed.message(platform, group)
    errors = []
    for p in ranks:
        names, sizes = (REDUCES, [65536, 1 << 20]) if p < 1024 else (REDUCES_OF_1024, [65536])
        simulated = bed.simulate(platform, range(p), per_node, names, sizes)
        compare(f"{platform} {p}", simulated, bed.replay(p, group, ports, inside, across, simulated), errors)
    return report(f"{platform}, ranks {ranks}", errors, 0.08, 0.20 if len(ranks) > 1 else None)


def main():
    if not shutil.which("smpirun") or not shutil.which("smpicxx"):
        print("check_simulated: skipped: SimGrid is not installed (Debian: libsimgrid-dev)")
        return 77
    quick = "--quick" in sys.argv
    with tempfile.TemporaryDirectory() as folder:
        bed = Bed(sys.argv[1], folder)
        bed.make()
        good = check_flat(bed, [16] if quick else [16, 64])
        for platform in ("fat-tree", "gpu-nodes"):
            good &= check_scaled(bed, platform, [64] if quick else [64, 256, 1024])
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main())
