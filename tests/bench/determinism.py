#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""The price of job.determinism: one job on so many ranks at each level, in turns; medians of step times, and the
ratio to `run` of the same round (range over the rounds).

determinism.py [--lockstep PROGRAM] [--ranks 2] [--rounds 3] [--steps 8] [--job gpt-small.toml] [KEY=VALUE...]
"""

import argparse
import json
import os
import pathlib
import statistics
import subprocess
import tempfile

ROOT = pathlib.Path(__file__).resolve().parents[2]
LEVELS = ("fast", "run", "layout")


def step_seconds(options, level, folder):
    run = pathlib.Path(folder) / "run"
    sets = [f"job.steps={options.steps}", f'job.run_dir="{run}"', f"job.determinism={level}", "job.threads=1",
            "data.validation_share=0", "job.evaluate_every=0", "optimizer.warmup_steps=0", *options.keys]
    command = [str(ROOT / "tests/support/mpirun"), str(options.ranks), options.lockstep, "train", options.job,
               *(word for item in sets for word in ("--set", item))]
    subprocess.run(command, check=True, capture_output=True, env={**os.environ, "OMP_NUM_THREADS": "1"})
    steps = [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]
    return statistics.median(m["step_seconds"] for m in steps[1:] if "loss" in m)  # the first step allocates


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--lockstep", default=str(ROOT / "build/release/lockstep"))
    parser.add_argument("--ranks", type=int, default=2)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--steps", type=int, default=8)
    parser.add_argument("--job", default=str(ROOT / "launch/examples/gpt-small.toml"))
    parser.add_argument("keys", nargs="*", metavar="KEY=VALUE")
    options = parser.parse_args()
    times = {level: [] for level in LEVELS}
    for _ in range(options.rounds):
        for level in LEVELS:
            with tempfile.TemporaryDirectory() as folder:
                times[level].append(step_seconds(options, level, folder))
    for level in LEVELS:
        ratios = [mine / run for mine, run in zip(times[level], times["run"])]
        print(f"{level:8} {1e3 * statistics.median(times[level]):9.1f} ms   {statistics.median(ratios):.3f} of run "
              f"({min(ratios):.3f} to {max(ratios):.3f})")


if __name__ == "__main__":
    main()
