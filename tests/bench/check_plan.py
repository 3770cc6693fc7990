#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Prices of `lockstep plan` against whole predictions of the same layouts.

    tests/bench/check_plan.py [--lockstep PATH] [--layouts 60] [--machine a100] [--rows] [key=value...]

Takes layouts of a job of published size at even distances from the ranking of those that fit (and a
third as many from those that do not, memory only), predicts each from a whole recording, and prints where price
and prediction differ, the worst first: time and memory, mean, median and 95th percentile; the time by families,
schedule (none: one stage) and ZeRO.
"""
import argparse
import json
import pathlib
import statistics
import subprocess
import sys
import tempfile

ROOT = pathlib.Path(__file__).resolve().parents[2]
# gpt3-22B of Korthikanti et al. on 32 GPUs, as this program would train it.
JOB = {"model.kind": "gpt", "model.layers": 48, "model.hidden": 6144, "model.heads": 64,
       "model.sequence": 2048, "model.vocabulary": 51200, "model.dropout": 0.1,
       "job.precision": "bfloat16", "batch.global": 64, "parallel.bucket_mb": 25}
RANKS = 32


def run(options, command, keys, ranks):
    with tempfile.NamedTemporaryFile("w", suffix=".toml") as job:
        done = subprocess.run([options.lockstep, command, job.name, "--machine", options.machine,
                               "--ranks", str(ranks), "--json", *[f"--set={k}={v}" for k, v in keys.items()]],
                              capture_output=True, text=True, check=False)
    if done.returncode != 0:
        sys.exit(f"{command} of {keys}: {done.stderr}{done.stdout}")
    return json.loads(done.stdout)


def keys_of(layout):
    keys = {f"parallel.{k}": layout[k] for k in ("data", "tensor", "pipeline", "chunks", "schedule", "zero",
                                                 "recompute", "bucket_mb")}
    return keys | {"parallel.sequence_parallel": str(layout["sequence_parallel"]).lower(),
                   "batch.micro": layout["micro"], "collectives.algorithm": layout["algorithm"]}


def evenly(items, count):
    return [items[i * len(items) // count] for i in range(min(count, len(items)))] if items else []


def text_of(layout):
    text = f"d{layout['data']} t{layout['tensor']} p{layout['pipeline']} {layout['schedule']}"
    text += f" v{layout['chunks']} zero {layout['zero']} {layout['recompute']} micro {layout['micro']}"
    return text + (" sequence" if layout["sequence_parallel"] else "")


def show(name, errors):
    sizes = sorted(abs(e) for e in errors)
    p95 = sizes[min(len(sizes) - 1, int(0.95 * len(sizes)))]
    print(f"{name:8} mean {statistics.mean(sizes):5.2f} %, median {statistics.median(sizes):5.2f}, "
          f"95th percentile {p95:5.1f}, largest {sizes[-1]:5.1f}, signed mean {statistics.mean(errors):5.2f}")
    return p95


def show_families(rows):
    families = {}
    for time, _, priced, _ in rows:
        layout = priced["layout"]
        schedule = layout["schedule"] if layout["pipeline"] > 1 else "none"
        families.setdefault((schedule, layout["zero"]), []).append(time)
    print("time by family  layouts   mean |error|   largest   signed mean")
    for (schedule, zero), errors in sorted(families.items()):
        sizes = [abs(e) for e in errors]
        print(f"{schedule:12} {zero} {len(errors):9} {statistics.mean(sizes):13.2f} % {max(sizes):9.1f} "
              f"{statistics.mean(errors):13.2f}")


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--lockstep", default=str(ROOT / "build/release/lockstep"))
    parser.add_argument("--machine", default="a100")
    parser.add_argument("--ranks", type=int, default=RANKS)
    parser.add_argument("--layouts", type=int, default=60)
    parser.add_argument("--rows", action="store_true", help="print every layout")
    parser.add_argument("keys", nargs="*", help="key=value of the job")
    options = parser.parse_args()
    job = JOB | dict(pair.split("=", 1) for pair in options.keys)

    layouts = run(options, "plan", job, options.ranks)
    fitting = [p for p in layouts if p["fits"]]
    others = [p for p in layouts if not p["fits"]]
    chosen = evenly(fitting, options.layouts) + evenly(others, options.layouts // 3)
    rows = []
    for priced in chosen:
        whole = run(options, "predict", job | keys_of(priced["layout"]), options.ranks)
        rows.append((100 * (priced["step_seconds"] / whole["step_seconds"] - 1) if priced["fits"] else 0,
                     100 * (priced["memory_bytes"] / whole["memory_bytes"] - 1), priced, whole))
    rows.sort(key=lambda r: -abs(r[0]))
    print(f"{len(layouts)} layouts, {len(fitting)} fit; {len(rows)} predicted whole")
    for time, memory, priced, whole in rows if options.rows else rows[:8]:
        print(f"  time {time:6.1f} %, memory {memory:6.1f} %  ({whole['step_seconds']:.3f} s, "
              f"{whole['memory_bytes'] / 2**30:.1f} GiB): {text_of(priced['layout'])}")
    show_families([r for r in rows if r[2]["fits"]])
    times, memories = show("time", [r[0] for r in rows if r[2]["fits"]]), show("memory", [r[1] for r in rows])
    sys.exit(0 if times <= 5 and memories <= 10 else 1)


if __name__ == "__main__":
    main()
