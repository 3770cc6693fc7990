#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Tokens/s of Lockstep on one GPU against PyTorch, eager and with torch.compile: GPT-2 of 124 and 350
million parameters, sequence 1024, bfloat16 (autocast there), fused AdamW, flash attention, tied weights.

Each round runs all three on every model, in turns; ratios are of the runs of one round, and the table
shows medians. MFU is against the rate of a large bfloat16 product that PyTorch reached in the same round:
6 FLOPs per parameter and token, and 12 L C T per token for attention, counted dense.
"""

import argparse
import json
import os
import pathlib
import shlex
import statistics
import subprocess
import sys
import tempfile

HERE = pathlib.Path(__file__).resolve().parent
ROOT = HERE.parents[1]
COMMON = dict(sequence=1024, vocabulary=50304)  # GPT-2's 50257 tokens, rounded up to 128s
MODELS = {  # and sequences of a step
    "gpt2-124m": (dict(COMMON, layers=12, hidden=768, heads=12), 32),
    "gpt2-350m": (dict(COMMON, layers=24, hidden=1024, heads=16), 16),
    "tiny": (dict(sequence=12, vocabulary=256, layers=1, hidden=16, heads=2), 2),  # that this script runs
}
PEERS = {"eager": [], "compile": ["--compile"]}
# PyTorch adds in any order, too; what the same bits cost, and our own attention.
OURS = {"lockstep": {"job.determinism": "fast"}, "same bits": {"job.determinism": "run"},
        "own attention": {"job.determinism": "fast", "job.attention": "own"}}
BARS = {"compile": 0.9, "eager": 1.2}  # that the first model must reach
SKIPPED = 77


def main():
    a = arguments()
    check(a)
    rounds = {name: [] for name in a.model or ["gpt2-124m", "gpt2-350m"]}
    for number in range(a.rounds):
        for name, results in rounds.items():
            results.append(one_round(a, name))
            say(f"round {number + 1} of {a.rounds}, {name}: {text_of(results[-1])}")
    rows = [summary(name, results) for name, results in rounds.items()]
    if a.json:
        print(json.dumps(dict(steps=a.steps, rows=rows), indent=2))
    else:
        print_table(rows)
    sys.exit(0 if a.bars_only_reported or all(row["reached"] for row in rows) else 1)


def arguments():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--torch-python", default=sys.executable, help="interpreter that has torch")
    parser.add_argument("--lockstep", default=str(ROOT / "build/cuda/lockstep"),
                        help="our executable, or a command that runs it")
    parser.add_argument("--model", action="append", choices=MODELS, help="default: both of GPT-2")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--steps", type=int, default=30)
    parser.add_argument("--warmup", type=int, default=10, help="steps not counted, default 10")
    parser.add_argument("--batch", type=int, help="sequences of a step instead of each model's own")
    parser.add_argument("--data", default="/usr/include", help="folder of text")
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--bars-only-reported", action="store_true", help="a missed bar is no failure")
    a = parser.parse_args()
    if not 0 <= a.warmup < a.steps or a.rounds < 1:
        parser.error("--steps must exceed --warmup, and --rounds be at least 1")
    return a


def check(a):
    asks = "import sys, torch; sys.exit(0 if torch.cuda.is_available() else 3)"
    status = subprocess.run([a.torch_python, "-c", asks], capture_output=True).returncode
    if status != 0:
        why = "sees no GPU" if status == 3 else f"is not there for {a.torch_python}: see --torch-python"
        say(f"skipped: PyTorch {why}")
        sys.exit(SKIPPED)


def one_round(a, name):
    """What each side did, or why it did not: a peer that fails leaves the others' figures."""
    runs = {}
    for side in (*OURS, *PEERS):
        try:
            runs[side] = run_lockstep(a, name, OURS[side]) if side in OURS else run_pytorch(a, name, PEERS[side])
        except RuntimeError as failure:
            if side == "lockstep":
                sys.exit(str(failure))
            say(f"{side}: {failure}")
            runs[side] = dict(why=str(failure).splitlines()[-1])
    return runs


def run_pytorch(a, name, options):
    model, batch = MODELS[name]
    keys = model | dict(batch=a.batch or batch, steps=a.steps, warmup=a.warmup, data=a.data, device="cuda",
                        precision="bfloat16")
    command = [a.torch_python, str(HERE / "pytorch_gpt.py"), "--tied", *options]
    out = output(command + [f"--{key}={value}" for key, value in keys.items()])
    return json.loads(out.splitlines()[-1])


def run_lockstep(a, name, options):
    model, batch = MODELS[name]
    batch = a.batch or batch
    with tempfile.TemporaryDirectory() as run_dir:
        keys = {f"model.{key}": value for key, value in model.items()} | {
            "model.tied": "true", "batch.global": batch, "batch.micro": batch, "job.device": "cuda",
            "job.precision": "bfloat16", "job.steps": a.steps, "job.run_dir": run_dir,
            "job.evaluate_batches": 1, "data.path": json.dumps([a.data]), "optimizer.warmup_steps": 0,
            "optimizer.learning_rate": 3e-4} | options
        command = shlex.split(a.lockstep) + ["train", str(ROOT / "launch/examples/gpt-small.toml")]
        for key, value in keys.items():
            command += ["--set", f"{key}={value}"]
        output(command)
        lines = (pathlib.Path(run_dir) / "metrics.jsonl").read_text().splitlines()
    steps = [step for step in map(json.loads, lines) if "step_seconds" in step]
    seconds = [step["step_seconds"] for step in steps]
    return dict(step_seconds=seconds, losses=[step["loss"] for step in steps],
                tokens_per_second=batch * model["sequence"] / statistics.median(seconds[a.warmup:]))


def output(command):
    done = subprocess.run(command, capture_output=True, text=True, stdin=subprocess.DEVNULL)
    if done.returncode != 0:
        raise RuntimeError(f"{shlex.join(map(str, command))}\nended with {done.returncode}:\n{done.stderr.strip()}")
    return done.stdout


def flops_per_token(name, parameters):
    model, _ = MODELS[name]
    positions = model["sequence"] * model["hidden"]  # looked up, not multiplied
    return 6 * (parameters - positions) + 12 * model["layers"] * model["hidden"] * model["sequence"]


def summary(name, rounds):
    def median(of, side):
        known = [r for r in rounds if "why" not in r[side] and "why" not in r["lockstep"]]
        return statistics.median(map(of, known)) if known else None

    def ratio(runs, peer):
        return runs["lockstep"]["tokens_per_second"] / runs[peer]["tokens_per_second"]

    first = next((r[p] for r in rounds for p in PEERS if "why" not in r[p]), {})
    row = dict(model=name, gpu=first.get("gpu"), pytorch=first.get("version"), parameters=first.get("parameters"),
               gemm_flops=first.get("gemm_flops"), rounds=rounds, ours=list(OURS), peers=list(PEERS), mfu=0,
               why={side: run["why"] for side, run in rounds[0].items() if "why" in run})
    for side in (*PEERS, *OURS):
        row[side] = median(lambda r: r[side]["tokens_per_second"], side) or 0
    for peer in PEERS:
        row[f"to_{peer}"] = median(lambda r: ratio(r, peer), peer) or 0
    if row["gemm_flops"]:
        row["mfu"] = row["lockstep"] * flops_per_token(name, row["parameters"]) / row["gemm_flops"]
    row["loss"] = {side: run["losses"][-1] for side, run in rounds[0].items() if "why" not in run}
    row["reached"] = name != "gpt2-124m" or all(row[f"to_{p}"] >= bar for p, bar in BARS.items())
    return row


def text_of(runs):
    return ", ".join(f"{side} {run.get('tokens_per_second', 0):.0f}" for side, run in runs.items()) + " tokens/s"


def print_table(rows):
    sides = (*PEERS, *OURS)
    print(f"{rows[0]['gpu']}, PyTorch {rows[0]['pytorch']}, bfloat16; tokens/s")
    print(f"{'':12} " + " ".join(f"{side:>13}" for side in sides) +
          f" {'to eager':>9} {'to compile':>10} {'GEMM TFLOP/s':>13} {'MFU of it':>9} {'last losses':>20}")
    for r in rows:
        losses = " ".join(f"{loss:.3f}" for loss in r["loss"].values())
        print(f"{r['model']:12} " + " ".join(f"{r[side]:13.0f}" for side in sides) +
              f" {r['to_eager']:9.2f} {r['to_compile']:10.2f} {(r['gemm_flops'] or 0) / 1e12:13.0f}"
              f" {r['mfu']:9.1%} {losses:>20}")
    print(f"bars of gpt2-124m: {BARS['eager']} of eager, {BARS['compile']} of compile:"
          f" {'reached' if all(r['reached'] for r in rows) else 'missed'}")


def say(text):
    print(text, file=sys.stderr, flush=True)


if __name__ == "__main__":
    main()
