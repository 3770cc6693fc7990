#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""How well `lockstep predict` knows the steps of jobs that calibration has not seen.

  check_steps.py --build build/release --machine 1=one.toml --machine 2=two.toml --calibrate \\
      --measured measured.json

For each number of ranks a profile; --calibrate measures it first. Of several profiles for as many
ranks each run is predicted by the one that was measured nearest in time, of those whose own rounds
agree; --calibrate measures those that there are not yet: calibrations and jobs take turns. Then 20 small GPTs (layers,
channels, sequences, batches) are trained for a few steps, one thread a rank, in --rounds rounds.
Measured: the median of the steps after the second; its parts from the trace of those steps, medians,
mean over ranks; tensors at their peak. Predicted: what `lockstep predict` says.

--measured keeps every run in a file and does not repeat what it holds: --jobs FIRST:END splits the
work, and a changed model is judged again without a measurement.

The machine may change its speed between calibration and job. machine_speed (a product, a copy) is
run beside both; the errors are printed as they are, which is what is judged, and once more with the
predicted parts corrected by what it says. Exit status 1 where a bar is missed.
"""

import argparse
import json
import math
import pathlib
import statistics
import subprocess
import sys
import tempfile
import time
import tomllib

from step_errors import PARTS, judge

# layers, hidden, heads, sequence, global batch; those with a multiple of 2 run on 2 ranks
JOBS = [(6, 384, 6, 256, 8), (5, 320, 5, 128, 8), (6, 384, 6, 64, 16), (6, 384, 6, 256, 4), (6, 384, 6, 512, 4),
        (4, 256, 4, 256, 8), (4, 256, 8, 128, 16), (8, 256, 4, 128, 8), (3, 512, 8, 192, 4), (4, 512, 8, 128, 4),
        (3, 320, 5, 192, 6), (5, 448, 7, 160, 4), (2, 704, 11, 128, 4), (12, 192, 3, 128, 8), (4, 384, 6, 96, 12),
        (6, 288, 6, 256, 4), (1, 640, 10, 256, 4), (3, 384, 12, 384, 4), (8, 128, 4, 256, 8), (2, 896, 7, 64, 8)]
STEPS, FIRST = 6, 2  # the first two allocate and warm up
STEADY = 0.10  # the drift of products between the rounds of a calibration
MPIRUN = pathlib.Path(__file__).parent.parent / "support/mpirun"


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--build", required=True, type=pathlib.Path, help="where lockstep and tests/bench lie")
    parser.add_argument("--mpirun", default=str(MPIRUN))
    parser.add_argument("--machine", action="append", required=True, metavar="RANKS=FILE")
    parser.add_argument("--calibrate", action="store_true", help="measure the profiles first")
    parser.add_argument("--jobs", default=f"0:{len(JOBS)}", metavar="FIRST:END")
    parser.add_argument("--rounds", type=int, default=1)
    parser.add_argument("--measured", type=pathlib.Path, help="keep runs in this file, and use those in it")
    parser.add_argument("--json", help="write predictions beside measurements to this file")
    a = parser.parse_args()
    machines = {}
    for ranks, file in (m.split("=", 1) for m in a.machine):
        machines.setdefault(int(ranks), []).append(pathlib.Path(file))
    first, end = (int(x) for x in a.jobs.split(":"))
    if a.calibrate:
        for ranks, files in machines.items():
            for file in files if len(files) == 1 else [f for f in files if not f.exists()]:
                calibrate(a, ranks, file)
    runs = json.loads(a.measured.read_text()) if a.measured and a.measured.exists() else {}
    with tempfile.TemporaryDirectory() as folder:
        folder = pathlib.Path(folder)
        write_text(folder / "text")
        wanted = [(round, ranks, i) for round in range(a.rounds) for ranks in machines for i in range(first, end)]
        for round, ranks, i in wanted:
            key = f"{ranks} ranks, job {i}, round {round}"
            if key not in runs:
                runs[key] = run(a, folder, ranks, JOBS[i])
                if a.measured:
                    a.measured.write_text(json.dumps(runs, indent=1))
        rows = [row_of(a, folder, ranks, files, i, [r for r in (runs.get(f"{ranks} ranks, job {i}, round {round}")
                                                                for round in range(a.rounds)) if r])
                for ranks, files in machines.items() for i in range(first, end)]
    if a.json:
        pathlib.Path(a.json).write_text(json.dumps(rows, indent=1))
    sys.exit(judge(rows) if rows else 0)


def launched(a, ranks, *command, timeout=300):
    start = [a.mpirun, str(ranks)]  # one thread a rank, calibrating and training
    result = subprocess.run([*start, *map(str, command)], capture_output=True, text=True, timeout=timeout,
                            stdin=subprocess.DEVNULL)
    if result.returncode:
        sys.exit(result.stderr)
    return result.stdout


def speed(a, ranks):
    return json.loads(launched(a, ranks, a.build / "tests/bench/machine_speed"))


def calibrate(a, ranks, file):
    """The profile, and how fast the machine was about it: the mean of before and after."""
    before = speed(a, ranks)
    print(launched(a, ranks, a.build / "lockstep", "calibrate", "-o", file), flush=True)
    after = speed(a, ranks)
    speed_file(file).write_text(json.dumps({"at": time.time()} | {k: (before[k] + after[k]) / 2 for k in before}))


def speed_file(machine):
    return machine.with_suffix(".speed.json")


def write_text(path):
    path.write_text("".join(f"{i * 7919 % 104729} is line {i}\n" for i in range(20000)))


def write_job(folder, job):
    layers, hidden, heads, sequence, batch = job
    (folder / "job.toml").write_text(f"""
[job]
steps = {STEPS}
threads = 1
trace_steps = {STEPS - 1}
run_dir = "{folder}/run"
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
    return folder / "job.toml"


def run(a, folder, ranks, job):
    measured = {"at": time.time(), "speed": speed(a, ranks)}
    text = launched(a, ranks, a.build / "lockstep", "train", write_job(folder, job))
    out = folder / "run"
    steps = [json.loads(line) for line in (out / "metrics.jsonl").read_text().splitlines()][FIRST:]
    measured["steps"] = [s["step_seconds"] for s in steps]
    measured["memory"] = memory_of(text)
    measured["parts"] = parts_of(json.loads((out / "trace.json").read_text())["traceEvents"], ranks)
    for file in out.iterdir():
        file.unlink()
    out.rmdir()
    return measured


def memory_of(text):
    line = next(line for line in text.splitlines() if line.startswith("memory"))
    return float(line.split()[1]) * 2**20  # rounded to MiB


def parts_of(events, ranks):
    """Seconds of each part in a step, mean over ranks of the medians of the steps after the first traced one.

    All leave the sums of a step together. Who begins to reduce last took for it what communication took that no
    kernel hid; the others waited until then. Clocks of different ranks are not compared."""
    events = sorted((e for e in events if e["ph"] == "X"), key=lambda e: e["ts"])
    own = [parts_of_rank([e for e in events if e["pid"] == r]) for r in range(ranks)]
    for steps in zip(*own):
        exposed = min(s["reduce"] for s in steps)
        for s in steps:
            s["exposed_communication"], s["waiting"] = exposed, s["reduce"] - exposed
    return {p: statistics.mean(statistics.median(s[p] for s in steps[1:]) for steps in own) for p in PARTS}


def parts_of_rank(events):
    updates = [(e["ts"], e["ts"] + e["dur"]) for e in events if e["name"] == "update"]
    steps = [dict.fromkeys(("gemm", "attention", "streaming", "optimizer", "reduce"), 0) for _ in updates]
    for e in events:
        step = next((i for i, (_, end) in enumerate(updates) if e["ts"] < end), None)
        if step is None:
            continue
        if e["name"] == "reduce":
            steps[step]["reduce"] = e["dur"] * 1e-6
        if e["cat"] not in ("phase", "collective"):
            steps[step]["optimizer" if e["ts"] >= updates[step][0] else e["cat"]] += e["dur"] * 1e-6
    return steps


def row_of(a, folder, ranks, machines, index, runs):
    write_job(folder, JOBS[index])
    write_text(folder / "text")
    usable = [m for m in machines if drift_within(m) <= STEADY] or machines
    nearest = [min(usable, key=lambda m: abs(calibrated(m).get("at", 0) - r.get("at", 0))) for r in runs]
    predicted = middle_of([predict(a, folder, ranks, machine) for machine in nearest])
    seconds = [statistics.median(r["steps"]) for r in runs]
    halves = [(statistics.median(r["steps"][::2]), statistics.median(r["steps"][1::2])) for r in runs]
    drift = {k: statistics.median(r["speed"][k] / calibrated(m)[k] for r, m in zip(runs, nearest))
             for k in runs[0]["speed"] if all(calibrated(m) for m in nearest)}
    parts = {p: statistics.median(r["parts"][p] for r in runs) for p in runs[0]["parts"]}
    return {"job": JOBS[index], "ranks": ranks, "predicted": predicted, "machine": str(nearest[0]),
            "measured": statistics.median(seconds), "parts": parts, "memory": runs[0]["memory"],
            # Of two rounds or more the rounds, else even against odd steps of the run.
            "noise": (seconds[-1] / seconds[0] if len(runs) > 1 else halves[0][0] / halves[0][1]) - 1,
            "part_noise": {p: runs[-1]["parts"][p] / max(runs[0]["parts"][p], 1e-9) - 1 for p in parts}
            if len(runs) > 1 else {}, "drift": drift}


def drift_within(machine):
    return tomllib.loads(machine.read_text()).get("drift", {}).get("compute", 0)


def calibrated(machine):
    """How fast the machine was about this profile, and when."""
    return json.loads(speed_file(machine).read_text()) if speed_file(machine).exists() else {}


def predict(a, folder, ranks, machine):
    return json.loads(subprocess.run(
        [a.build / "lockstep", "predict", folder / "job.toml", "--machine", machine, "--ranks", str(ranks), "--json"],
        check=True, capture_output=True, text=True).stdout)


def middle_of(answers):
    """Of answers of the same form the medians of their numbers; all else is the first one's."""
    first = answers[0]
    if isinstance(first, dict):
        return {k: middle_of([a[k] for a in answers if k in a]) for k in first}
    if isinstance(first, list) and all(isinstance(a, list) and len(a) == len(first) for a in answers):
        return [middle_of([a[i] for a in answers]) for i in range(len(first))]
    is_number = isinstance(first, (int, float)) and not isinstance(first, bool)
    return statistics.median(answers) if is_number else first


if __name__ == "__main__":
    main()
