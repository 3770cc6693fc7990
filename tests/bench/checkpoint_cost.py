#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""What checkpoints cost a run: the steps of a job with one every N steps against the same job without, in turns.

checkpoint_cost.py --lockstep PATH [--job launch/examples/quickstart.toml] [--ranks 2] [--every 20] [--steps 280] [--rounds 2]

A run's time is that of its steps and what checkpoints held them up between steps; start and end do not count.
"""

import argparse
import json
import pathlib
import re
import statistics
import subprocess
import tempfile

HERE = pathlib.Path(__file__).resolve().parent


def run(options, folder, every):
    command = [HERE.parent / "support/mpirun", str(options.ranks), options.lockstep, "train", options.job]
    for item in (f'job.run_dir="{folder}"', f"job.steps={options.steps}", "job.evaluate_every=0", "job.sample_length=0",
                 "optimizer.warmup_steps=0", "data.validation_share=0", f"checkpoint.every={every}"):
        command += ["--set", item]
    result = subprocess.run(list(map(str, command)), capture_output=True, text=True, check=True)
    lines = [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]
    steps = [m["step_seconds"] for m in lines if "step_seconds" in m][5:]  # the first ones allocate
    said = re.search(r"(\d+) checkpoints of ([\d.]+) MB held steps up for ([\d.]+) ms", result.stderr)
    held = int(said[1]) * float(said[3]) * 1e-3 if said else 0.0
    return sum(steps) + held, held, len(steps), said[2] if said else "0"


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--lockstep", required=True)
    parser.add_argument("--job", default=HERE.parent.parent / "launch/examples/quickstart.toml")
    parser.add_argument("--ranks", type=int, default=2)
    parser.add_argument("--every", type=int, default=20)
    parser.add_argument("--steps", type=int, default=280)
    parser.add_argument("--rounds", type=int, default=2)
    options = parser.parse_args()
    costs = []
    with tempfile.TemporaryDirectory() as name:
        for i in range(options.rounds):
            order = (0, options.every) if i % 2 == 0 else (options.every, 0)
            seconds = {every: run(options, pathlib.Path(name) / f"{i}-{every}", every) for every in order}
            plain, (total, held, steps, size) = seconds[0][0], seconds[options.every]
            costs.append(total / plain - 1)
            print(f"round {i}: {1e3 * plain / steps:.1f} ms a step without, {1e3 * total / steps:.1f} with one of {size} MB "
                  f"every {options.every} ({1e3 * held / steps:.2f} held up between steps): {100 * costs[-1]:+.1f} %", flush=True)
    print(f"median {100 * statistics.median(costs):+.1f} %")


main()
