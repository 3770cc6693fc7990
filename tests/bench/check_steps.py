#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""How well `lockstep predict` knows the steps of jobs that calibration has not seen.

  check_steps.py --lockstep build/release/lockstep --machine 1=one.toml --machine 2=two.toml

For each number of ranks a profile: mpirun -np N lockstep calibrate -o FILE. Trains each of 20 small
GPTs (layers, channels, sequences, batches) for a few steps on each number of ranks, one thread a
rank, and prints predicted and measured step, the parts of it, and peak memory; in the end mean
errors and how often the interval held what was measured. Measured: the median of the steps after
the second; the parts from the trace of those steps, their medians, of rank 0.

Steps differ from one run to the next: --repeats runs each job several times in turn, and takes the
median of the runs; the spread among them is printed as noise.
"""

import argparse
import collections
import json
import pathlib
import statistics
import subprocess
import sys
import tempfile

# layers, hidden, heads, sequence, global batch; those with a multiple of 2 run on 2 ranks
JOBS = [(6, 384, 6, 256, 8), (6, 384, 6, 128, 8), (6, 384, 6, 64, 16), (6, 384, 6, 256, 4), (6, 384, 6, 512, 4),
        (4, 256, 4, 256, 8), (4, 256, 8, 128, 16), (8, 256, 4, 128, 8), (2, 512, 8, 256, 4), (4, 512, 8, 128, 4),
        (3, 320, 5, 192, 6), (5, 448, 7, 160, 4), (2, 768, 12, 128, 4), (12, 192, 3, 128, 8), (4, 384, 6, 96, 12),
        (6, 288, 6, 256, 4), (1, 640, 10, 256, 4), (3, 384, 12, 384, 4), (8, 128, 4, 256, 8), (2, 896, 7, 64, 8)]
PARTS = ("gemm", "attention", "streaming", "optimizer", "exposed_communication")
STEPS, FIRST = 6, 2  # the first two allocate and warm up


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--lockstep", required=True)
    parser.add_argument("--mpirun", default=str(pathlib.Path(__file__).parent.parent / "support/mpirun"))
    parser.add_argument("--machine", action="append", required=True, metavar="RANKS=FILE")
    parser.add_argument("--jobs", type=int, default=len(JOBS))
    parser.add_argument("--repeats", type=int, default=1)
    parser.add_argument("--json", help="write all figures to this file")
    a = parser.parse_args()
    rows = []
    with tempfile.TemporaryDirectory() as folder:
        folder = pathlib.Path(folder)
        write_text(folder / "text")
        for ranks, machine in (m.split("=", 1) for m in a.machine):
            for job in JOBS[:a.jobs]:
                rows.append(check(a, folder, int(ranks), machine, job))
                print(line_of(rows[-1]), flush=True)
    print(summary_of(rows))
    if a.json:
        pathlib.Path(a.json).write_text(json.dumps(rows, indent=1))


def write_text(path):
    path.write_text("".join(f"{i * 7919 % 104729} is line {i}\n" for i in range(20000)))


def check(a, folder, ranks, machine, job):
    runs = [run(a, folder, ranks, job) for _ in range(a.repeats)]
    predict = [a.lockstep, "predict", str(folder / "job.toml"), "--machine", machine, "--ranks", str(ranks), "--json"]
    predicted = json.loads(subprocess.run(predict, check=True, capture_output=True, text=True).stdout)
    seconds = [r["seconds"] for r in runs]
    return {"job": job, "ranks": ranks, "predicted": predicted["step_seconds"], "interval": predicted["interval"],
            "in_range": predicted["in_range"], "measured": statistics.median(seconds),
            "noise": (max(seconds) - min(seconds)) / 2 / statistics.median(seconds),
            "parts": {p: (predicted["breakdown"][p], statistics.median(r["parts"][p] for r in runs)) for p in PARTS},
            "memory": (predicted["memory_bytes"], runs[0]["memory"])}


def run(a, folder, ranks, job):
    layers, hidden, heads, sequence, batch = job
    out = folder / "run"
    (folder / "job.toml").write_text(f"""
[job]
steps = {STEPS}
threads = 1
trace_steps = {STEPS - 1}
run_dir = "{out}"
[model]
layers = {layers}
hidden = {hidden}
heads = {heads}
sequence = {sequence}
tied = false
[data]
path = ["{folder}/text"]
validation_share = 0
[batch]
global = {batch}
""")
    command = [*([a.mpirun, str(ranks)] if ranks > 1 else []), a.lockstep, "train", str(folder / "job.toml")]
    result = subprocess.run(command, capture_output=True, text=True, timeout=300, stdin=subprocess.DEVNULL)
    if result.returncode:
        sys.exit(result.stderr)
    steps = [json.loads(line) for line in (out / "metrics.jsonl").read_text().splitlines()][FIRST:]
    measured = {"seconds": statistics.median(s["step_seconds"] for s in steps),
                "parts": parts_of(json.loads((out / "trace.json").read_text())["traceEvents"]),
                "memory": memory_of(result.stdout)}
    measured["parts"]["exposed_communication"] = statistics.median(s["exposed_comm_seconds"] for s in steps)
    for file in out.iterdir():
        file.unlink()
    out.rmdir()
    return measured


def memory_of(text):
    line = next(line for line in text.splitlines() if line.startswith("memory"))
    return float(line.split()[1]) * 2**20  # rounded to MiB


def parts_of(events):
    """Seconds of each part in a step of rank 0: the medians of the steps after the first traced one."""
    events = sorted((e for e in events if e["ph"] == "X" and e["pid"] == 0), key=lambda e: e["ts"])
    updates = [(e["ts"], e["ts"] + e["dur"]) for e in events if e["name"] == "update"]
    steps = [collections.Counter() for _ in updates]
    for e in events:
        step = next((i for i, (_, end) in enumerate(updates) if e["ts"] < end), None)
        if step is None or e["cat"] in ("phase", "collective"):
            continue
        updating = e["ts"] >= updates[step][0]
        steps[step]["optimizer" if updating else e["cat"]] += e["dur"] * 1e-6
    return {p: statistics.median(s[p] for s in steps[1:]) for p in PARTS}


def line_of(row):
    error = row["predicted"] / row["measured"] - 1
    covered = row["interval"] and row["interval"][0] <= row["measured"] <= row["interval"][1]
    parts = " ".join(f"{p[:9]} {1e3 * a:.1f}/{1e3 * b:.1f}" for p, (a, b) in row["parts"].items())
    memory = row["memory"][0] / row["memory"][1] - 1
    return (f"{row['ranks']} ranks {'x'.join(map(str, row['job'])):20} predicted {1e3 * row['predicted']:8.1f} ms "
            f"measured {1e3 * row['measured']:8.1f} ms {error:+7.1%} noise {row['noise']:5.1%} "
            f"{'covered' if covered else 'missed '} memory {memory:+.2%} | {parts}")


def summary_of(rows):
    def quartet(errors):
        errors = sorted(map(abs, errors))
        p95 = errors[min(len(errors) - 1, int(0.95 * len(errors)))]
        return (f"n {len(errors)} mean {statistics.mean(errors):.1%} median {statistics.median(errors):.1%} "
                f"p95 {p95:.1%} maximum {errors[-1]:.1%}")
    errors = [r["predicted"] / r["measured"] - 1 for r in rows]
    covered = sum(bool(r["interval"]) and r["interval"][0] <= r["measured"] <= r["interval"][1] for r in rows)
    lines = ["", f"step      {quartet(errors)} signed median {statistics.median(errors):+.1%}",
             f"interval  holds {covered} of {len(rows)}",
             f"memory    {quartet([r['memory'][0] / r['memory'][1] - 1 for r in rows])}",
             f"noise     {quartet([r['noise'] for r in rows])}"]
    for part in PARTS:
        known = [r["parts"][part] for r in rows if r["parts"][part][1] > 1e-4]
        if known:
            lines.append(f"{part:21} {quartet([p / m - 1 for p, m in known])}")
    return "\n".join(lines)


if __name__ == "__main__":
    main()
