#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""What checkpoints, and copies in memory, cost a run: the steps behind one against those that come later, in the same
run, and a run without any for comparison.

checkpoint_cost.py --lockstep PATH [--job launch/examples/quickstart.toml] [--ranks 2] [--every 20] [--steps 600]

A checkpoint holds steps up while the state is copied, and then shares cores and disk with the steps behind it. Of each
cycle of N steps the first quarter is compared with the third, so that a machine whose speed drifts tells it all the same:

    cost = (held up + median over cycles of (first quarter - third quarter)) / (N x median step)
"""

import argparse
import json
import pathlib
import re
import statistics
import subprocess
import tempfile

HERE = pathlib.Path(__file__).resolve().parent


def run(options, folder, every, memory_every):
    command = [HERE.parent / "support/mpirun", str(options.ranks), options.lockstep, "train", options.job]
    for item in (f'job.run_dir="{folder}"', f"job.steps={options.steps}", "job.evaluate_every=0", "job.sample_length=0",
                 "data.validation_share=0", f"checkpoint.every={every}", f"checkpoint.memory_every={memory_every}"):
        command += ["--set", item]
    result = subprocess.run(list(map(str, command)), capture_output=True, text=True, check=True)
    lines = [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]
    words = "copies in memory" if memory_every else r"checkpoints? of [\d.]+ MB"
    said = re.search(words + r" held steps up for ([\d.]+) ms", result.stderr)
    size = re.search(r"checkpoints? of ([\d.]+) MB", result.stderr)
    return [m["step_seconds"] for m in lines if "step_seconds" in m], float(said[1]) * 1e-3 if said else 0.0, size and size[1]


def cost(steps, held, n):
    """Of the cycles behind the first one, which is without a checkpoint."""
    cycles = [steps[i:i + n] for i in range(n, len(steps) - n + 1, n)]
    quarter = n // 4
    excess = [sum(c[:quarter]) - sum(c[2 * quarter:3 * quarter]) for c in cycles]
    middle = statistics.median(excess)
    spread = statistics.median(abs(e - middle) for e in excess) * 1.48 * 1.25 / len(excess) ** 0.5  # of the median
    cycle = n * statistics.median(steps)
    return (held + middle) / cycle, spread / cycle


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--lockstep", required=True)
    parser.add_argument("--job", default=HERE.parent.parent / "launch/examples/quickstart.toml")
    parser.add_argument("--ranks", type=int, default=2)
    parser.add_argument("--every", type=int, default=20)
    parser.add_argument("--steps", type=int, default=600)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        for kind, every, memory_every in (("one", options.every, 0), ("copies in memory", options.steps, options.every),
                                          ("none (for comparison)", 0, 0)):
            steps, held, size = run(options, pathlib.Path(name) / f"{every}-{memory_every}", every, memory_every)
            share, spread = cost(steps, held, options.every)
            what = kind + (f" of {size} MB every {options.every} steps, {1e3 * held:.2f} ms held up" if every else "")
            print(f"checkpoints: {what}: steps of {1e3 * statistics.median(steps):.1f} ms, cost "
                  f"{100 * share:+.2f} % +- {100 * spread:.2f}", flush=True)


main()
