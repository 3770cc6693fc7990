#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Tokens/s of Lockstep against eager PyTorch: same model, batch, data, threads and cores, in one go.

Each round runs the peer (pytorch_gpt.py), then `lockstep train`, for every setting; the ratio is taken
per pair, so a machine that is slow for a while is slow for both, and the table shows the medians.
A step is everything from batch to update. What others did to the cores meanwhile is shown: above a
tenth of a core, measure again on a quiet machine.
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
import time

HERE = pathlib.Path(__file__).resolve().parent
ROOT = HERE.parents[1]
MODEL = dict(layers=6, hidden=384, heads=6, sequence=256, vocabulary=256)
BATCH = 8  # sequences per rank
SETTINGS = {  # ranks, threads per rank
    "1 rank x 1 thread": (1, 1),
    "1 rank x 2 threads": (1, 2),
    "2 ranks x 1 thread": (2, 1),
}
SKIPPED = 77  # exit status, as automake has it


def main():
    a = arguments()
    check(a)
    if a.tune:
        tune(a)
    names = [name for name in SETTINGS if name in a.setting] if a.setting else list(SETTINGS)
    pairs = {name: [] for name in names}
    for round_ in range(a.rounds):
        for name in names:
            pairs[name].append((run_pytorch(a, *SETTINGS[name]), run_lockstep(a, *SETTINGS[name])))
            say(f"round {round_ + 1} of {a.rounds}, {name}: ratio {ratio(pairs[name][-1]):.2f}")
    rows = [summary(name, pairs[name]) for name in names]
    peer = dict(version=pairs[names[0]][0][0]["version"], attention=a.attention, optimizer=a.optimizer)
    if a.json:
        print(json.dumps(dict(peer=peer, model=MODEL, batch=BATCH, rows=rows), indent=2))
    else:
        print_table(peer, rows)


def arguments():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--torch-python", default=sys.executable, help="interpreter that has torch")
    parser.add_argument("--lockstep", default=ROOT / "build/release/lockstep", help="our executable")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--steps", type=int, default=13, help="per run, default 13")
    parser.add_argument("--warmup", type=int, default=3, help="of them not counted, default 3")
    parser.add_argument("--setting", action="append", choices=list(SETTINGS), help="default: all")
    parser.add_argument("--data", default="/usr/include/c++", help="folder of text")
    parser.add_argument("--attention", choices=["sdpa", "explicit"], default="sdpa", help="PyTorch's")
    parser.add_argument("--optimizer", choices=["loop", "foreach", "fused"], default="fused",
                        help="PyTorch's variant of AdamW")
    parser.add_argument("--tune", action="store_true", help="try PyTorch's variants, take the fastest")
    parser.add_argument("--json", action="store_true", help="every step of every run, too")
    a = parser.parse_args()
    if not 0 <= a.warmup < a.steps or a.rounds < 1:
        parser.error("--steps must exceed --warmup, and --rounds be at least 1")
    return a


def check(a):
    """Says what is missing before minutes are spent."""
    if subprocess.run([a.torch_python, "-c", "import torch"], capture_output=True).returncode != 0:
        say(f"skipped: {a.torch_python} cannot import torch; name one that can with --torch-python")
        sys.exit(SKIPPED)
    if not os.access(a.lockstep, os.X_OK):
        sys.exit(f"{a.lockstep} is not there: build it, or name it with --lockstep")


# ---- one run of one side


def environment(threads):
    """The same for both sides; how threads wait is left to each side's own default."""
    return os.environ | dict(OMP_NUM_THREADS=str(threads), OMPI_ALLOW_RUN_AS_ROOT="1",
                             OMPI_ALLOW_RUN_AS_ROOT_CONFIRM="1")


def bound(ranks, threads):
    """One thread stays on one core, the same for both sides; two share all cores as they like."""
    if (ranks, threads) != (1, 1) or not shutil.which("taskset"):
        return []
    return ["taskset", "-c", str(max(os.sched_getaffinity(0)))]


def measured(command, threads):
    """stdout, the largest resident set of a process of it, and the cores that others kept busy."""
    with tempfile.TemporaryFile("w+") as out, tempfile.TemporaryFile("w+") as err:
        busy, begin = busy_seconds(), time.monotonic()
        process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=out, stderr=err,
                                   env=environment(threads))
        _, status, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
        foreign = busy_seconds() - busy - usage.ru_utime - usage.ru_stime
        foreign /= time.monotonic() - begin
        if process.returncode != 0:
            err.seek(0)
            sys.exit(f"{' '.join(map(str, command))}\nended with {process.returncode}:\n{err.read()}")
        out.seek(0)
        return out.read(), usage.ru_maxrss * 1024, max(0.0, foreign)


def busy_seconds():
    """CPU seconds of the whole machine: user, nice, system, irq and softirq."""
    fields = pathlib.Path("/proc/stat").read_text().splitlines()[0].split()[1:]
    return sum(int(fields[i]) for i in (0, 1, 2, 5, 6)) / os.sysconf("SC_CLK_TCK")


def run_pytorch(a, ranks, threads, **variant):
    options = MODEL | dict(batch=BATCH, ranks=ranks, threads=threads, steps=a.steps, warmup=a.warmup,
                           data=a.data, attention=a.attention, optimizer=a.optimizer) | variant
    command = bound(ranks, threads) + [a.torch_python, HERE / "pytorch_gpt.py"]
    out, _, foreign = measured(command + [f"--{k}={v}" for k, v in options.items()], threads)
    result = json.loads(out.splitlines()[-1])
    # Its own peak: the launching process holds a torch as well.
    return timings(a, ranks, result["step_seconds"], result["peak_bytes"], foreign) | dict(
        version=result["version"], imported_bytes=result["imported_bytes"])


def run_lockstep(a, ranks, threads):
    with tempfile.TemporaryDirectory() as run_dir:
        keys = {f"model.{k}": v for k, v in MODEL.items()} | {
            "model.tied": "false", "batch.global": BATCH * ranks, "job.steps": a.steps,
            "job.threads": threads, "job.run_dir": run_dir, "job.evaluate_batches": 1,
            "data.path": json.dumps([a.data]), "optimizer.warmup_steps": 0}
        command = bound(ranks, threads) + launcher(ranks) + [
            a.lockstep, "train", ROOT / "launch/examples/gpt-small.toml"]
        for key, value in keys.items():
            command += ["--set", f"{key}={value}"]
        _, peak, foreign = measured(command, threads)
        lines = (pathlib.Path(run_dir) / "metrics.jsonl").read_text().splitlines()
    steps = [step for step in map(json.loads, lines) if "step_seconds" in step]
    mfu = [step["mfu"] for step in steps[a.warmup:] if step["mfu"] is not None]
    return timings(a, ranks, [step["step_seconds"] for step in steps], peak, foreign) | dict(
        mfu=statistics.median(mfu) if mfu else None)


def launcher(ranks):
    if ranks == 1:
        return []
    version = subprocess.run(["mpirun", "--version"], capture_output=True, text=True).stdout
    options = ["-q", "--bind-to", "none", "--oversubscribe"] if "Open MPI" in version else []
    return ["mpirun", *options, "-np", str(ranks)]


def timings(a, ranks, seconds, peak, foreign):
    median = statistics.median(seconds[a.warmup:])
    return dict(tokens_per_second=ranks * BATCH * MODEL["sequence"] / median, step_seconds=seconds,
                peak_bytes=peak, foreign_cores=foreign)


def tune(a):
    trials = {}
    for attention in ("sdpa", "explicit"):
        for optimizer in ("loop", "foreach", "fused"):
            run = run_pytorch(a, 1, 1, attention=attention, optimizer=optimizer)
            trials[attention, optimizer] = run["tokens_per_second"]
            say(f"PyTorch, {attention}, {optimizer}: {run['tokens_per_second']:.0f} tokens/s")
    a.attention, a.optimizer = max(trials, key=trials.get)


# ---- results


def ratio(pair):
    peer, ours = pair
    return ours["tokens_per_second"] / peer["tokens_per_second"]


def summary(name, pairs):
    def median(side, key):
        return statistics.median(pair[side][key] for pair in pairs)

    ratios = [ratio(pair) for pair in pairs]
    return dict(setting=name, pytorch_tokens_per_second=median(0, "tokens_per_second"),
                lockstep_tokens_per_second=median(1, "tokens_per_second"),
                ratio=statistics.median(ratios), ratios=ratios,
                pytorch_peak_bytes=median(0, "peak_bytes"),
                pytorch_imported_bytes=median(0, "imported_bytes"),
                lockstep_peak_bytes=median(1, "peak_bytes"), lockstep_mfu=pairs[-1][1]["mfu"],
                foreign_cores=max(run["foreign_cores"] for pair in pairs for run in pair), pairs=pairs)


def print_table(peer, rows):
    print(f"PyTorch {peer['version']}, eager, attention {peer['attention']}, AdamW {peer['optimizer']}")
    print(f"{'':20} {'tokens/s':>17} {'':>20} {'peak MB per rank':>17} {'of GEMM':>8} {'foreign':>8}")
    print(f"{'':20} {'PyTorch':>8} {'Lockstep':>8} {'ratio (range)':>20} {'PyTorch':>8} {'Lockstep':>8}"
          f" {'rate':>8} {'cores':>8}")
    for r in rows:
        spread = f"{r['ratio']:.2f} ({min(r['ratios']):.2f}-{max(r['ratios']):.2f})"
        share = "-" if r["lockstep_mfu"] is None else f"{r['lockstep_mfu']:.0%}"
        print(f"{r['setting']:20} {r['pytorch_tokens_per_second']:8.0f}"
              f" {r['lockstep_tokens_per_second']:8.0f} {spread:>20} {r['pytorch_peak_bytes'] / 1e6:8.0f}"
              f" {r['lockstep_peak_bytes'] / 1e6:8.0f} {share:>8} {r['foreign_cores']:8.2f}")
    print(f"Of PyTorch's peak {rows[0]['pytorch_imported_bytes'] / 1e6:.0f} MB are there after its import.")


def say(text):
    print(text, file=sys.stderr, flush=True)


if __name__ == "__main__":
    main()
