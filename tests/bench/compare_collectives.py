#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""All-reduce (float32 sum, in place) of Lockstep against Open MPI, MPICH and Gloo, on one machine.

Ours runs through Communicator, on memory from allocate() and on plain memory, in turns with the MPI
that it is built with, in one process (all_reduce_native.cpp). MPICH (where mpicxx.mpich is there to
compile all_reduce_mpi.cpp) and Gloo (where the build found it) are programs of their own and take
turns with it. Every rank
rewrites its input before each call; figures are medians over rounds of the mean over ranks of each
rank's median, in microseconds. `bound` is the time of 3 n bytes of memory traffic per rank, from a
copy of n bytes on all ranks at once in the same run.
"""

import argparse
import json
import os
import pathlib
import shutil
import statistics
import subprocess
import sys
import tempfile

HERE = pathlib.Path(__file__).resolve().parent
ROOT = HERE.parents[1]
KIB, MIB = 1 << 10, 1 << 20
SIZES = [8, 64, 512, *(n * KIB for n in (1, 4, 16, 64, 256)), *(n * MIB for n in (1, 4, 16, 64))]
FLAGS = ["-std=c++20", "-O3", "-march=native", f"-I{ROOT}"]


def main():
    a = arguments()
    with tempfile.TemporaryDirectory(prefix="lockstep-bench-") as work:
        peers = build_peers(pathlib.Path(work))
        tables = {}
        for ranks in a.ranks:
            rows = {}  # (name, bytes) -> one figure per round
            for round_ in range(a.rounds):
                for name in ["native", *peers]:
                    say(f"{ranks} ranks, round {round_ + 1} of {a.rounds}: {name}")
                    for key, value in run(name, peers, ranks, work, a).items():
                        rows.setdefault(key, []).append(value)
            tables[ranks] = rows
    if a.json:
        print(json.dumps({n: [dict(name=k[0], bytes=k[1], microseconds=v) for k, v in t.items()] for n, t in tables.items()}))
    else:
        for ranks, rows in tables.items():
            print_table(ranks, rows)


def arguments():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--native", default=ROOT / "build/release/tests/bench/all_reduce_native")
    parser.add_argument("--ranks", type=int, nargs="+", default=[2, 4, 8])
    parser.add_argument("--sizes", type=int, nargs="+", default=SIZES, help="bytes")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--json", action="store_true")
    return parser.parse_args()


def say(text):
    print(text, file=sys.stderr, flush=True)


def build_peers(work):
    """Name -> program, of those that are installed."""
    peers = {}
    if shutil.which("mpicxx.mpich"):
        compile_([shutil.which("mpicxx.mpich"), *FLAGS, HERE / "all_reduce_mpi.cpp", "-o", work / "mpich"])
        peers["mpich"] = work / "mpich"
    gloo = ROOT / "build/release/tests/bench/all_reduce_gloo"
    if gloo.exists():
        peers["gloo"] = gloo
    for name in {"mpich", "gloo"} - set(peers):
        say(f"{name} is not installed: left out")
    return peers


def compile_(command):
    subprocess.run([str(c) for c in command], check=True)


def run(name, peers, ranks, work, a):
    """(series, bytes) -> microseconds."""
    meeting = pathlib.Path("/dev/shm") / f"lockstep-bench-{os.getpid()}"
    meeting.write_bytes(bytes(1 << 16))
    sizes = [str(s) for s in a.sizes]
    environment = os.environ | {"OMP_NUM_THREADS": "1"}
    if os.geteuid() == 0:
        environment |= {"OMPI_ALLOW_RUN_AS_ROOT": "1", "OMPI_ALLOW_RUN_AS_ROOT_CONFIRM": "1"}
    crowded = ranks > os.cpu_count()
    try:
        if name == "native":
            binding = ["--oversubscribe", "--bind-to", "none"] if crowded else ["--bind-to", "core"]
            commands = [["mpirun", "-q", "-np", str(ranks), *binding, str(a.native), str(meeting), *sizes]]
        elif name == "mpich":
            binding = [] if crowded else ["-bind-to", "core"]
            commands = [["mpirun.mpich", "-np", str(ranks), *binding, str(peers[name]), str(meeting), *sizes]]
        else:
            store = tempfile.mkdtemp(dir=work)
            commands = [[str(peers[name]), str(meeting), str(r), str(ranks), store, *sizes] for r in range(ranks)]
        children = [subprocess.Popen(c, env=environment, stdout=subprocess.PIPE, text=True) for c in commands]
        output = "".join(child.communicate()[0] for child in children)
        if any(child.returncode for child in children):
            raise SystemExit(f"{name} failed")
    finally:
        meeting.unlink()
    result = {}
    for line in output.splitlines():
        series, size, microseconds = line.split()
        result[("mpich" if series == "mpi" else series, int(size))] = float(microseconds)
    return result


def size_text(n):
    for unit, factor in (("MiB", MIB), ("KiB", KIB)):
        if n >= factor:
            return f"{n // factor} {unit}"
    return f"{n} B"


def figure(x):
    if x is None:
        return "-"
    return f"{x:.2f}" if x < 10 else f"{x:.1f}" if x < 100 else f"{x:,.0f}"


def print_table(ranks, rows):
    def median(name, size):
        values = rows.get((name, size))
        return statistics.median(values) if values else None

    def ratio(peer, name, size):
        pairs = [p / o for p, o in zip(rows[(peer, size)], rows[(name, size)])]
        return f"{statistics.median(pairs):.1f} ({min(pairs):.1f}-{max(pairs):.1f})"

    print(f"\n{ranks} ranks, microseconds\n")
    print("| bytes | Open MPI | MPICH | Gloo | ours, plain | ours, allocate | Open MPI / plain | Open MPI / allocate | bound |")
    print("|---|---|---|---|---|---|---|---|---|")
    for size in sorted({key[1] for key in rows}):
        bound = 1.5 * median("copy", size) if size >= MIB else None
        cells = [size_text(size)]
        cells += [figure(median(name, size)) for name in ("openmpi", "mpich", "gloo", "plain", "allocate")]
        cells += [ratio("openmpi", "plain", size), ratio("openmpi", "allocate", size), figure(bound)]
        print("| " + " | ".join(cells) + " |")


if __name__ == "__main__":
    main()
