#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Replays of our algorithms and of pipeline steps against SimGrid, which runs the code itself.

  check_simulated.py BUILD_FOLDER [--quick] [--platform NAMES] [--ranks COUNTS] [--keep FOLDER]

Every algorithm and four pipeline steps, 16, 64, 256 and 1024 ranks, on three platforms:

flat        one switch
fat-tree    32 leaves of 32 hosts, 16 links up from each
gpu-nodes   nodes of 8 GPUs, of which each has a port to the others, and all share one adapter

The replay knows a machine profile, calibrated between two ranks inside a leaf or node and two across, at sizes that no
check uses: L, g and G, and what two messages at once on one path do to each other, which is the profile's `sharing`.
How many ports the ranks of a leaf or node share is told to it. As SimGrid's MPI does it lets a sender go on when its
message has arrived, and takes sums as free. Nothing is fitted to what is judged.

profile   by the rule that was found. Judged: flat within 1 % at every point; elsewhere, of 64 ranks and more, a median
          error of 8 % and a p95 of 20 %.
queue     the same as if what one rank sends were a queue, as it is on real links. Judged alike, but for two algorithms
          that keep several messages on one path, where this rule is what it and SimGrid differ in.

--quick: 16 and 64 ranks, the test testbed_simulated. --platform flat,fat-tree and --ranks 64,256: a piece; 16 ranks are
always there. --keep: simulated times are kept in FOLDER, and taken from there by the next call that needs them. Status
77 where SimGrid is not installed.
"""
import argparse, concurrent.futures, dataclasses, hashlib, os, pathlib, shutil, subprocess, sys, tempfile, time

import simulated_report as report

ROOT = pathlib.Path(__file__).resolve().parents[2]
OPTIONS = ["--log=" + c + ".thres:error" for c in ("smpi_config", "xbt_cfg", "smpi_colls", "smpi_coll")] + [
    "--cfg=" + c for c in ("smpi/simulate-computation:no", "smpi/wtime:0", "network/model:CM02",
                           "network/crosstraffic:0", "network/TCP-gamma:0",
                           "smpi/async-small-thresh:0", "smpi/send-is-detached-thresh:0")]
CLUSTER = """<?xml version="1.0"?>
<!DOCTYPE platform SYSTEM "https://simgrid.org/simgrid.dtd">
<platform version="4.1">
 <cluster id="c" prefix="n" suffix="" radical="0-1023" speed="1Gf" bw="10GBps" sharing_policy="SPLITDUPLEX" %s/>
</platform>"""
# Of p^2 messages: half a minute of simulation for each million.
SQUARE = {("all_gather", "ring"), ("all_reduce", "ring"), ("all_reduce", "segmented_ring"),
          ("all_to_all", "pairwise"), ("reduce_scatter", "ring"), ("reduce_scatter", "pairwise")}
SQUARE_AT_1024 = {"flat": {("all_reduce", "ring"), ("all_to_all", "pairwise")}}
STAGES = {16: "4x8", 64: "8x16", 256: "8x16", 1024: "16x16"}
STEPS = ("1f1b-%s-ring", "gpipe-%s-ring", "1f1b-%s-halving_doubling-inner", "gpipe-%s-halving_doubling-inner")


@dataclasses.dataclass
class Platform:
    name: str
    xml: str = ""          # of a cluster; empty: libgpu_nodes
    group: int = 1         # ranks of a leaf or node, and the ports that they share
    ports: int = 1
    per_node: int = 1      # as the algorithms see it
    host: str = "n"


PLATFORMS = [Platform("flat", 'lat="5us"'),
             Platform("fat-tree", 'lat="2.5us" topology="FAT_TREE" topo_parameters="2;32,32;1,16;1,1"', 32, 16),
             Platform("gpu-nodes", group=8, per_node=8, host="gpu")]

# A profile as `lockstep calibrate` writes one. No message leaves before its receiver has posted it.
PROFILE = """[machine]
name = "{name}"
source = "SimGrid, two ranks"
calibrated = true
"""
LINK = """
[[link]]
level = "{level}"
source = "SimGrid, two ranks"
rendezvous_bytes = 0.5
ports = {ports}
sharing = "{sharing}"
loggp = {{ L = {L:.12g}, o_send = 0, o_recv = 0, g = {g:.12g}, G = {G:.12g} }}
"""


class Bed:
    def __init__(self, build, folder, kept):
        self.build, self.folder, self.kept = pathlib.Path(build), pathlib.Path(folder), pathlib.Path(kept or folder)
        self.kept.mkdir(parents=True, exist_ok=True)
        self.simulated = self.build / "simulated"
        for p in PLATFORMS:
            if p.xml:
                (self.folder / (p.name + ".xml")).write_text(CLUSTER % p.xml)

    def make(self):
        subprocess.run(["cmake", "-S", ROOT / "tests/testbed/simulated", "-B", self.simulated,
                        "-DCMAKE_CXX_COMPILER=smpicxx"], check=True, stdout=subprocess.DEVNULL,
                       env={**os.environ, "SMPI_PRETEND_CC": "1"})
        subprocess.run(["cmake", "--build", self.simulated, "-j2"], check=True, stdout=subprocess.DEVNULL)

    def simulate(self, platform, hosts, names, sizes):
        """{(collective, algorithm, bytes): seconds}"""
        program = self.simulated / "simulated_collectives"
        file = self.folder / (platform.name + ".xml") if platform.xml else self.simulated / "libgpu_nodes.so"
        call = [platform.per_node if len(hosts) > 2 else 1, ",".join(names), ",".join(map(str, sizes))]
        key = hashlib.sha256(repr((list(hosts), call, OPTIONS)).encode() + program.read_bytes() + file.read_bytes())
        kept = self.kept / f"{platform.name}-{len(hosts)}-{key.hexdigest()[:16]}"
        if not kept.exists():
            hostfile = self.folder / (kept.name + ".hosts")
            hostfile.write_text("".join(f"{platform.host}{h}\n" for h in hosts))
            command = ["smpirun", "-np", len(hosts), "-platform", file, "-hostfile", hostfile, *OPTIONS, program, *call]
            whole = self.kept / ("." + kept.name)
            whole.write_text(run_twice(command, str(max(hosts) // 8 + 1)))
            whole.rename(kept)
        return lines_of(kept.read_text())

    def replay(self, platform, profile, ranks, cases):
        command = [self.build / "tests/testbed/replay_collectives", profile, ranks, platform.group]
        text = "".join(f"{c} {a} {b}\n" for c, a, b in cases)
        result = subprocess.run([str(c) for c in command], input=text, check=True, capture_output=True, text=True)
        return lines_of(result.stdout)

    def link(self, platform, peer):
        """L, g, G (LogGP) of messages between two ranks; and when one alone and two at once on their path arrive."""
        small, large = 2048, 512 << 10
        t = self.simulate(platform, [0, peer], ["path", "broadcast/binomial"], [small, large])
        one = [t["broadcast", "binomial", n] for n in (small, large)]
        G = (one[1] - one[0]) / (large - small)
        g = t["path", "second", small] - one[0] - G * (small - 1)  # later than one alone: g + (n-1) G
        both = [t["path", which, large] for which in ("first", "second")]
        return {"L": one[0] - G * (small - 1), "g": g, "G": G}, (one[1], *both)

    def points(self, platform, profiles, ranks, names, sizes):
        simulated = self.simulate(platform, range(ranks), names, sizes)
        profile, queue = (self.replay(platform, file, ranks, simulated) for file in profiles)
        return [report.Point(platform.name, ranks, case, profile[case] / seconds - 1, queue[case] / seconds - 1)
                for case, seconds in simulated.items()]


def run_twice(command, nodes):
    """At most: SimGrid copies the program for each rank, and a stop signal cuts such a copy short."""
    for check in (False, True):
        result = subprocess.run([str(c) for c in command], check=check, capture_output=True, text=True,
                                env={**os.environ, "SIMULATED_NODES": nodes})
        if result.returncode == 0:
            return result.stdout


def lines_of(text):
    return {(w[0], w[1], int(w[4])): float(w[5]) for w in (line.split() for line in text.splitlines())}


def sharing_of(path):
    """What two messages at once on one path do: the first arrives as if alone, or both when the second should."""
    alone, first, second = path
    return "queue" if first - alone < (second - alone) / 2 else "share"


def calibrated(bed, platform):
    """Files of profiles: with the sharing that was found, and as if ports were queues; and what was found."""
    links = (("inside", platform.group, bed.link(platform, 1)),
             ("across", platform.ports, bed.link(platform, platform.group)))
    path = links[1][2][1]
    files = []
    for column, sharing in (("profile", sharing_of(path)), ("queue", "queue")):
        files.append(bed.folder / f"{platform.name}-{column}.toml")
        files[-1].write_text(PROFILE.format(name=platform.name) + "".join(
            LINK.format(level=level, ports=ports, sharing=sharing, **link) for level, ports, (link, _) in links))
    return files, path


def jobs_of(platform, algorithms, counts):
    """[(ranks, names, sizes)], the most ranks first. Payloads are real: 1024 ranks have 256 KiB each at most."""
    jobs = []
    for ranks in sorted(counts, reverse=True):
        square = SQUARE & algorithms
        if ranks == 1024:
            square = SQUARE_AT_1024.get(platform.name, {("all_reduce", "ring")})
        jobs += [(ranks, ["/".join(a)], [65536]) for a in sorted(square)]
        log = ["/".join(a) for a in sorted(algorithms - SQUARE)]
        steps = ["pipeline/" + s % STAGES[ranks] for s in STEPS]
        for names in [[n] for n in log] if ranks == 1024 else [log]:
            jobs.append((ranks, names, [65536, 262144] if ranks == 1024 else [65536, 1 << 20]))
        for names in [[s] for s in steps] if ranks == 1024 else [steps]:
            jobs.append((ranks, names, [16384, 262144] if ranks > 64 else [16384, 262144, 1 << 20]))
    return jobs


def left_out(counts):
    if 1024 not in counts:
        return []
    dropped = sorted(SQUARE - {("all_reduce", "ring")})
    return ["left out at 1024 ranks, since each million of messages takes half a minute: "
            + ", ".join("/".join(a) for a in dropped) + " (all_to_all/pairwise is there on flat)",
            "vectors there are of 64 and 256 KiB, below of 64 KiB and 1 MiB: every rank holds several of them",
            "algorithms that need shared memory: simulated ranks have none"]


def all_points(bed, platforms, counts):
    """Two simulations at a time: each is one thread."""
    points, paths, started = [], {}, time.time()

    def tell(name, ranks, names, sizes):
        what = names[0] if len(names) == 1 else f"{len(names)} algorithms or steps"
        print(f"   {time.time() - started:5.0f} s: {name}, {ranks} ranks, {what}, {len(sizes)} sizes", file=sys.stderr,
              flush=True)

    with concurrent.futures.ThreadPoolExecutor(2) as pool:
        running = {}
        for platform in platforms:
            profiles, paths[platform.name] = calibrated(bed, platform)
            small = bed.points(platform, profiles, 16, ["all"], [4096, 1 << 20])
            steps = ["pipeline/" + s % STAGES[16] for s in STEPS]
            points += small + bed.points(platform, profiles, 16, steps, [16384, 262144])
            for job in jobs_of(platform, {p.case[:2] for p in small}, counts):
                running[pool.submit(bed.points, platform, profiles, *job)] = (platform.name, *job)
        for done in concurrent.futures.as_completed(running):
            points += done.result()
            tell(*running[done])
    return points, paths


def arguments():
    parser = argparse.ArgumentParser(usage=__doc__.split("\n\n")[1].strip())
    parser.add_argument("build")
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--platform", default=",".join(p.name for p in PLATFORMS))
    parser.add_argument("--ranks", default="64,256,1024")
    parser.add_argument("--keep")
    given = parser.parse_args()
    counts = [64] if given.quick else [int(r) for r in given.ranks.split(",") if r != "16"]
    platforms = [p for p in PLATFORMS if p.name in given.platform.split(",")]
    if not platforms or not set(counts) <= set(STAGES):
        parser.error(f"platforms are {', '.join(p.name for p in PLATFORMS)}, ranks 16, 64, 256, 1024")
    return given, platforms, counts


def main():
    given, platforms, counts = arguments()
    if not shutil.which("smpirun") or not shutil.which("smpicxx"):
        print("check_simulated: skipped: SimGrid is not installed (Debian: libsimgrid-dev)")
        return 77
    with tempfile.TemporaryDirectory() as folder:
        bed = Bed(given.build, folder, given.keep)
        bed.make()
        points, paths = all_points(bed, platforms, counts)
    good = report.tables([p.name for p in platforms], points, {name: sharing_of(p) for name, p in paths.items()})
    report.explain_sharing(points, paths)
    for line in left_out(counts):
        print(line)
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main())
