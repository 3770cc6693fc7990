#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""How much of the gradient communication a trace shows behind computation.

  overlap.py runs/NAME/trace.json

Sums, for each rank, the time of the all-reduces that carry gradients (--least bytes and more) and the
part of it in which a kernel of the compute stream ran; prints the share that was hidden. A traced
run: lockstep train JOB.toml --set job.trace_steps=5
"""

import argparse
import collections
import json


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("trace")
    parser.add_argument("--least", type=int, default=4096, help="elements of an all-reduce of gradients")
    a = parser.parse_args()
    kernels, reduces = collections.defaultdict(list), collections.defaultdict(list)
    with open(a.trace, encoding="utf-8") as file:
        events = json.load(file)["traceEvents"]
    for e in events:
        if e["ph"] != "X" or e["cat"] == "phase":
            continue
        interval = (e["ts"], e["ts"] + e["dur"])
        if e["cat"] != "collective":
            kernels[e["pid"]].append(interval)
        elif e["name"] == "all_reduce" and count_of(e) >= a.least:
            reduces[e["pid"]].append(interval)
    for rank in sorted(reduces):
        total = sum(end - begin for begin, end in reduces[rank])
        hidden = sum(covered(i, kernels[rank]) for i in reduces[rank])
        print(f"rank {rank}: {len(reduces[rank])} all-reduces, {total / 1e3:.2f} ms, {hidden / total:.1%} hidden")


def count_of(event):
    return next(iter(event["args"]["shape"].values()))


def covered(interval, others):
    """Time of `interval` in which one of `others`, which do not overlap each other, ran."""
    return sum(max(0.0, min(interval[1], end) - max(interval[0], begin)) for begin, end in others)


if __name__ == "__main__":
    main()
