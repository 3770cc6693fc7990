#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""kill -9 at random moments, also while a checkpoint is being written: of one rank, or of the whole job. After each
the run is resumed; in the end its weights are the undisturbed run's bits and its metrics hold every step once. Half of
the kills hit runs that keep copies in memory as well, and leave nothing there.

kill_test.py LOCKSTEP MPIRUN [--kills 3] [--seed 1] [--steps 200] [--seconds S]

A run that is done before its kill is followed by a new one, until so many kills have hit; --seconds ends it early, with
the number that it came to. CI makes few; the long form is --kills 100.
"""

import argparse
import json
import os
import pathlib
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time

from small_job import write_job

LIMIT = 120  # seconds for one life of a run
RANKS = 2


def fail(text):
    print("FAILED:", text, file=sys.stderr)
    sys.exit(1)


class Run:
    """One run in a directory of its own, over as many lives as it takes."""

    def __init__(self, options, folder, zero, name, memory=False):
        self.lockstep, self.mpirun = options.lockstep, options.mpirun
        self.folder, self.dir = folder, folder / name
        self.job = folder / f"{name}.toml"
        self.memory = folder / "memory"
        self.memory.mkdir(exist_ok=True)
        self.from_memory = 0  # lives that went on from there
        every, memory_every = (8, 1) if memory else (2, 0)
        write_job(self.job, steps=options.steps, evaluate_every=20, hidden=32, more=f"[parallel]\nzero = {zero}",
                  checkpoint=f'every = {every}\nkeep = 2\nmemory_every = {memory_every}\nmemory_path = "{self.memory}"')

    def start(self):
        command = [self.mpirun, str(RANKS), self.lockstep, "train", str(self.job), "--set", f'job.run_dir="{self.dir}"',
                   "--resume"]
        return subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True,
                                start_new_session=True, cwd=self.folder)

    def finish(self):
        process = self.start()
        said = process.communicate(timeout=LIMIT)[1]
        if process.returncode != 0:
            fail(f"a life ended with {process.returncode}: {said}")
        self.from_memory += "continued from the copies in memory" in said
        if left := list(self.memory.iterdir()):
            fail(f"left in memory: {left}")

    def steps(self):
        path = self.dir / "metrics.jsonl"
        return path.read_text().count('"loss"') if path.exists() else 0

    def checkpoints(self):
        """Drafts, too."""
        folder = self.dir / "checkpoints"
        return sorted(p.name for p in folder.iterdir()) if folder.exists() else []


def ranks_of(process):
    children = subprocess.run(["ps", "-o", "pid=,comm=", "--ppid", str(process.pid)], capture_output=True, text=True)
    return [int(line.split()[0]) for line in children.stdout.splitlines() if "lockstep" in line]


def wait_until(condition, process):
    deadline = time.monotonic() + LIMIT
    while not condition():
        if process.poll() is not None:
            return False
        if time.monotonic() > deadline:
            fail("a run makes no steps")
        time.sleep(0.001)
    return True


def kill_once(run, chance):
    """One life that is killed; its kind, or None if the run was done first."""
    process = run.start()
    kind = chance.choice(["rank", "job", "write"])
    before = run.steps()
    if kind == "write":  # while a draft is there
        there = wait_until(lambda: any("partial" in name for name in run.checkpoints()), process)
        time.sleep(chance.uniform(0, 0.003))
    elif chance.random() < 0.2:  # at any moment, also of the start
        there = True
        time.sleep(chance.uniform(0, 1.0))
    else:
        more = chance.randint(1, 30)
        there = wait_until(lambda: run.steps() not in range(before, before + more), process)
        time.sleep(chance.uniform(0, 0.01))
    alive = there and process.poll() is None
    if alive:
        victims = ranks_of(process)
        if kind == "rank" and victims:
            os.kill(chance.choice(victims), signal.SIGKILL)
        else:
            os.killpg(process.pid, signal.SIGKILL)
            for rank in victims:
                try:
                    os.kill(rank, signal.SIGKILL)
                except ProcessLookupError:
                    pass
    said = process.communicate(timeout=LIMIT)[1]
    run.from_memory += "continued from the copies in memory" in said
    return kind if alive and process.returncode != 0 else None


def check(run, whole, options):
    metrics = [json.loads(line) for line in (run.dir / "metrics.jsonl").read_text().splitlines()]
    wanted = [json.loads(line) for line in (whole.dir / "metrics.jsonl").read_text().splitlines()]
    values = lambda lines: [(m["step"], m.get("loss"), m.get("grad_norm"), m.get("validation_loss")) for m in lines]
    if values(metrics) != values(wanted):
        fail(f"metrics of {run.dir} are not those of the undisturbed run")
    result = subprocess.run([options.lockstep, "checkpoint", "diff", run.dir, whole.dir], capture_output=True, text=True)
    if result.returncode != 0:
        fail(f"weights differ: {result.stdout}{result.stderr}")
    result = subprocess.run([options.lockstep, "checkpoint", "verify", run.dir], capture_output=True, text=True)
    if result.returncode != 0:
        fail(result.stderr)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("lockstep")
    parser.add_argument("mpirun")
    parser.add_argument("--kills", type=int, default=3)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--steps", type=int, default=200)
    parser.add_argument("--seconds", type=float, default=1e9)
    options = parser.parse_args()
    chance = random.Random(options.seed)
    begin, counts, runs, from_memory = time.monotonic(), {}, 0, 0
    with tempfile.TemporaryDirectory() as name:
        folder = pathlib.Path(name)
        zero = chance.choice([0, 1, 3])
        whole = Run(options, folder, zero, "whole")
        whole.finish()
        for memory, kills in ((True, options.kills // 2), (False, options.kills)):
            more = lambda: sum(counts.values()) < kills and time.monotonic() < begin + options.seconds
            while more():
                run = Run(options, folder, zero, f"run{runs}", memory)
                runs += 1
                while more():
                    kind = kill_once(run, chance)
                    if kind is None:
                        break
                    counts[kind] = counts.get(kind, 0) + 1
                run.finish()
                check(run, whole, options)
                from_memory += run.from_memory
                shutil.rmtree(run.dir)
    print(f"{sum(counts.values())} kills ({', '.join(f'{n} {k}' for k, n in sorted(counts.items()))}) of {runs} runs, "
          f"zero {zero}: every one ended with the undisturbed run's weights and metrics; {from_memory} lives went on from memory")


main()
