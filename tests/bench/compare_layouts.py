#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""What each way to use the same ranks costs: layouts of one GPT in turns, against data parallelism.

  compare_layouts.py --lockstep build/release/lockstep [--machine two.toml] [--ranks 2] [--rounds 3]

The GPT has 8 layers of width 512 and sequences of 256 tokens; one thread a rank. Every round runs each
layout once; printed are the medians over rounds of tokens/s, the ratio to data parallelism of the same
round with its range, and, with a profile, the predicted step and memory beside what was measured.
"""

import argparse
import json
import pathlib
import statistics
import subprocess
import sys
import tempfile

STEPS, FIRST = 5, 1  # the first allocates and warms up
JOB = """
[job]
steps = {steps}
threads = 1
run_dir = "{run}"
[model]
kind = "{kind}"
layers = 8
hidden = 512
heads = 8
sequence = 256
[data]
path = ["{text}"]
validation_share = 0
[batch]
global = {batch}
micro = {micro}
"""


def layouts(ranks, batch):
    """name, keys of [parallel], sequences per micro-batch"""
    yield "data", {"data": ranks}, 0
    for zero in (1, 2, 3):
        yield f"data, ZeRO-{zero}", {"data": ranks, "zero": zero}, 0
    yield "tensor", {"tensor": ranks}, 0
    yield "tensor, sequence parallel", {"tensor": ranks, "sequence_parallel": True}, 0
    for schedule in ("gpipe", "1f1b", "zb-h1"):
        yield f"pipeline, {schedule}", {"pipeline": ranks, "schedule": schedule}, 1
    yield "pipeline, interleaved", {"pipeline": ranks, "chunks": 2, "schedule": "interleaved"}, 1
    yield "data, recompute selective", {"data": ranks, "recompute": "selective"}, 0
    yield "data, recompute full", {"data": ranks, "recompute": "full"}, 0
    if ranks == 4:
        yield "data 2 x tensor 2", {"data": 2, "tensor": 2}, 0
        yield "data 2 x pipeline 2", {"data": 2, "pipeline": 2}, 1
        yield "tensor 2 x pipeline 2", {"tensor": 2, "pipeline": 2}, 1


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--lockstep", required=True)
    parser.add_argument("--mpirun", default=str(pathlib.Path(__file__).parent.parent / "support/mpirun"))
    parser.add_argument("--machine", help="profile of this machine with so many ranks")
    parser.add_argument("--ranks", type=int, default=2)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--batch", type=int, default=16, help="sequences per step over all ranks")
    parser.add_argument("--kind", default="gpt")
    parser.add_argument("--only", nargs="+", help="layouts of these names, beside data")
    a = parser.parse_args()
    chosen = [l for l in layouts(a.ranks, a.batch) if l[0] == "data" or not a.only or l[0] in a.only]
    runs = {name: [] for name, _, _ in chosen}
    with tempfile.TemporaryDirectory() as folder:
        folder = pathlib.Path(folder)
        (folder / "text").write_text("".join(f"{i * 7919 % 104729} is line {i}\n" for i in range(20000)))
        for _ in range(a.rounds):
            for name, keys, micro in chosen:
                runs[name].append(run(a, folder, keys, micro))
                print(f"{name:<28} {runs[name][-1]['tokens']:8.0f} tokens/s", file=sys.stderr, flush=True)
        predicted = {name: predict(a, folder, keys, micro) if a.machine else None for name, keys, micro in chosen}
    print(table(runs, predicted))


def write_job(a, folder, keys, micro):
    lines = [f"{key} = {str(value).lower() if isinstance(value, bool) else json.dumps(value)}" for key, value in keys.items()]
    text = JOB.format(steps=STEPS, run=folder / "run", kind=a.kind, text=folder / "text", batch=a.batch, micro=micro)
    (folder / "job.toml").write_text(text + "[parallel]\n" + "\n".join(lines) + "\n")
    return str(folder / "job.toml")


def run(a, folder, keys, micro):
    command = [a.mpirun, str(a.ranks), a.lockstep, "train", write_job(a, folder, keys, micro)]
    result = subprocess.run(command, capture_output=True, text=True, timeout=600, stdin=subprocess.DEVNULL)
    if result.returncode:
        sys.exit(result.stderr)
    out = folder / "run"
    steps = [json.loads(line) for line in (out / "metrics.jsonl").read_text().splitlines()][FIRST:]
    memory = next(line for line in result.stdout.splitlines() if line.startswith("memory"))
    for file in out.iterdir():
        file.unlink()
    out.rmdir()
    seconds = statistics.median(s["step_seconds"] for s in steps)
    return {"seconds": seconds, "tokens": a.batch * 256 / seconds, "memory": float(memory.split()[1]) * 2**20}


def predict(a, folder, keys, micro):
    command = [a.lockstep, "predict", write_job(a, folder, keys, micro), "--machine", a.machine,
               "--ranks", str(a.ranks), "--json"]
    result = subprocess.run(command, capture_output=True, text=True)
    if result.returncode:
        sys.exit(result.stderr)
    return json.loads(result.stdout)


def table(runs, predicted):
    lines = ["| layout | tokens/s | of data parallelism (range) | step ms | predicted | memory MiB | predicted |",
             "|---|---|---|---|---|---|---|"]
    errors = []
    for name, all_runs in runs.items():
        ratios = [r["tokens"] / base["tokens"] for r, base in zip(all_runs, runs["data"])]
        seconds = statistics.median(r["seconds"] for r in all_runs)
        memory = max(r["memory"] for r in all_runs)
        p = predicted[name]
        if p:
            errors.append((p["step_seconds"] / seconds - 1, p["memory_bytes"] / memory - 1))
        lines.append(f"| {name} | {statistics.median(r['tokens'] for r in all_runs):.0f} | "
                     f"{100 * statistics.median(ratios):.0f} % ({100 * min(ratios):.0f}-{100 * max(ratios):.0f}) | "
                     f"{1e3 * seconds:.1f} | " + (f"{1e3 * p['step_seconds']:.1f} ({100 * errors[-1][0]:+.1f} %)" if p else "-") +
                     f" | {memory / 2**20:.1f} | " +
                     (f"{p['memory_bytes'] / 2**20:.1f} ({100 * errors[-1][1]:+.2f} %)" if p else "-") + " |")
    if errors:
        lines.append("")
        for what, values in zip(("step time", "memory"), zip(*errors)):
            lines.append(f"{what}: mean error {100 * statistics.mean(map(abs, values)):.2f} %, "
                         f"largest {100 * max(map(abs, values)):.2f} % of {len(values)} layouts")
    return "\n".join(lines)


if __name__ == "__main__":
    main()
