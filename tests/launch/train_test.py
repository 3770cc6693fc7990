#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""`lockstep train` as a user meets it: good runs, mistakes, signals, a full disk.

train_test.py LOCKSTEP MPIRUN      MPIRUN is tests/support/mpirun: MPIRUN RANKS COMMAND...
"""

import json
import os
import pathlib
import signal
import struct
import subprocess
import sys
import tempfile
import time
import unittest

LOCKSTEP, MPIRUN = sys.argv[1:3]
LIMIT = 60  # seconds for one run: a hang is a failure

JOB = """
[job]
steps = 6
run_dir = "{dir}/run"
[model]
layers = 1
hidden = 16
heads = 2
sequence = 16
[data]
path = ["{dir}/text"]
[batch]
global = 4
"""
METRIC_KEYS = {"step", "loss", "grad_norm", "learning_rate", "tokens_per_second", "mfu", "step_seconds",
               "predicted_seconds", "exposed_comm_seconds", "waiting_seconds"}


class Train(unittest.TestCase):
    def setUp(self):
        self.folder = tempfile.TemporaryDirectory()
        self.addCleanup(self.folder.cleanup)
        self.dir = pathlib.Path(self.folder.name)
        (self.dir / "text").write_text("".join(f"line {i} of the text\n" for i in range(3000)))
        (self.dir / "job.toml").write_text(JOB.format(dir=self.dir))

    def command(self, *sets, ranks=1):
        start = [MPIRUN, str(ranks)] if ranks > 1 else []
        return [*start, LOCKSTEP, "train", str(self.dir / "job.toml"),
                *(word for item in sets for word in ("--set", item))]

    def train(self, *sets, ranks=1):
        return subprocess.run(self.command(*sets, ranks=ranks), capture_output=True, text=True, cwd=self.dir,
                              stdin=subprocess.DEVNULL, timeout=LIMIT)

    def metrics(self):
        lines = (self.dir / "run/metrics.jsonl").read_text().splitlines()
        return [json.loads(line) for line in lines]

    # ---- good runs

    def test_a_run_leaves_its_record(self):
        for ranks in (1, 3):
            with self.subTest(ranks=ranks):
                run = f'job.run_dir="{self.dir}/run"'
                result = self.train(run, "batch.global=6", "job.trace_steps=2", "job.sample_length=5",
                                    'job.sample_prompt="\u00e9"', "job.evaluate_every=3", ranks=ranks)
                self.assertEqual(result.returncode, 0, result.stderr)
                steps = [m for m in self.metrics() if "loss" in m]
                self.assertEqual([m["step"] for m in steps], [1, 2, 3, 4, 5, 6])
                self.assertLessEqual(METRIC_KEYS, steps[0].keys())
                self.assertEqual(len([m for m in self.metrics() if "validation_loss" in m]), 2)
                trace = json.loads((self.dir / "run/trace.json").read_text())
                events = trace["traceEvents"] if isinstance(trace, dict) else trace
                self.assertEqual({e["pid"] for e in events}, set(range(ranks)))
                self.assertTrue({"linear_forward", "all_reduce"} <= {e["name"] for e in events})
                self.assertIn("the model writes", result.stdout)
                again = self.train("batch.global=6", ranks=ranks)
                self.expect_mistake(again, ["job.run_dir", "already holds a run"], left_behind=True)
                for file in (self.dir / "run").iterdir():
                    file.unlink()
                (self.dir / "run").rmdir()

    def test_a_trace_that_cannot_be_written_costs_nothing_else(self):
        (self.dir / "run/trace.json").mkdir(parents=True)
        result = self.train("job.trace_steps=2", "job.sample_length=5")
        self.assertEqual(result.returncode, 1, result.stderr)
        self.assertIn("trace.json", result.stderr)
        self.assertIn("the model writes", result.stdout)
        self.assertTrue(json.loads((self.dir / "run/summary.json").read_text())["finished"])

    def test_the_resolved_job_file_makes_the_same_run(self):
        self.assertEqual(self.train("job.seed=5").returncode, 0)
        first = [m["loss"] for m in self.metrics() if "loss" in m]
        result = subprocess.run([LOCKSTEP, "train", self.dir / "run/job.toml", "--set",
                                 f'job.run_dir="{self.dir}/second"'], capture_output=True, timeout=LIMIT)
        self.assertEqual(result.returncode, 0, result.stderr)
        (self.dir / "run/metrics.jsonl").write_bytes((self.dir / "second/metrics.jsonl").read_bytes())
        self.assertEqual([m["loss"] for m in self.metrics() if "loss" in m], first)

    def test_dry_records_and_trains_nothing(self):
        for ranks, sets in ((1, ["parallel.data=4"]), (4, [])):
            result = self.train("job.device=dry", *sets, ranks=ranks)
            self.assertEqual(result.returncode, 0, result.stderr)
            for word in ("all_reduce", "attention_backward", "peak memory", "of 4"):
                self.assertIn(word, result.stdout)
            self.assertFalse((self.dir / "run").exists())

    def test_runs_without_a_directory_number_themselves(self):
        for name in ("again", "again-2"):
            self.assertEqual(self.train("job.name=again", 'job.run_dir=""').returncode, 0)
            self.assertTrue((self.dir / "runs" / name / "metrics.jsonl").exists())

    # ---- mistakes: one line that names the place and the remedy, a status, nothing left behind

    def expect_mistake(self, result, words, left_behind=False):
        said = [line for line in result.stderr.splitlines() if line.startswith("lockstep: ")]
        self.assertEqual(len(said), 1, result.stderr)
        for word in words:
            self.assertIn(word, said[0])
        self.assertNotEqual(result.returncode, 0)
        self.assertEqual((self.dir / "run").exists(), left_behind)

    def test_mistakes(self):
        header = struct.pack("<256i", 20240520, 7, 10, *[0] * 253)
        (self.dir / "version.bin").write_bytes(header + bytes(20))
        (self.dir / "odd.bin").write_bytes(bytes(41))
        (self.dir / "tokens.bin").write_bytes(struct.pack("<100H", *[5] * 99, 300))
        (self.dir / "empty").write_text("")
        tokens = ["data.kind=tokens", "model.vocabulary=256"]
        cases = {
            "unknown key": (["model.layer=2"], ["model.layer", "model.layers"]),
            "wrong type": (['model.layers="two"'], ["model.layers"]),
            "out of range": (["model.dropout=1.5"], ["model.dropout", "1.5"]),
            "heads": (["model.heads=3"], ["model.heads", "model.hidden"]),
            "ranks": (["parallel.data=2", "parallel.tensor=2"], ["= 4"]),
            "missing corpus": (['data.path="nowhere"'], ["data.path", "nowhere"]),
            "empty corpus": ([f'data.path="{self.dir}/empty"'], ["data.path", "empty"]),
            "version": ([*tokens, f'data.path="{self.dir}/version.bin"'], ["version.bin"]),
            "odd size": ([*tokens, f'data.path="{self.dir}/odd.bin"'], ["odd.bin"]),
            "vocabulary": ([*tokens, f'data.path="{self.dir}/tokens.bin"'], ["tokens.bin", "300", "256"]),
            "sequence": (["model.sequence=100000"], ["sequence", "100000"]),
            "batch": (["batch.micro=3"], ["batch"]),
            "text of tokens": ([*tokens, f'data.path="{self.dir}/tokens.bin"', "job.sample_length=5"],
                               ["job.sample_length"]),
            "backend": (["collectives.backend=gloo"], ["collectives.backend", "native"]),
            "model": (["model.kind=gptt"], ["model.kind", "gpt"]),
            "algorithm": (["collectives.algorithm=rings"], ["collectives.algorithm", "ring"]),
            "not here": ([f'job.run_dir="{self.dir}/text/run"'], ["job.run_dir"]),
        }
        for name, (sets, words) in cases.items():
            for ranks in (1, 2):
                with self.subTest(mistake=name, ranks=ranks):
                    self.expect_mistake(self.train(*sets, ranks=ranks), words)

    def test_command_line_mistakes(self):
        for arguments in (["trian"], ["train"], ["train", "nowhere.toml"], ["train", "--sett", "x"],
                          ["train", "job.toml", "--set", "model.layers"]):
            with self.subTest(arguments=arguments):
                result = subprocess.run([LOCKSTEP, *arguments], capture_output=True, text=True, cwd=self.dir,
                                        timeout=LIMIT)
                self.expect_mistake(result, [])

    # ---- the world outside

    def test_signals_leave_complete_metrics(self):
        for ranks, number in ((1, signal.SIGTERM), (2, signal.SIGINT), (2, signal.SIGTERM)):
            with self.subTest(ranks=ranks, signal=number.name):
                run = self.dir / f"run-{ranks}-{number.name}"
                process = subprocess.Popen(self.command("job.steps=1000000", f'job.run_dir="{run}"',
                                                        ranks=ranks),
                                           stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
                metrics = run / "metrics.jsonl"
                deadline = time.monotonic() + LIMIT
                while not (metrics.exists() and metrics.stat().st_size > 2000):
                    self.assertLess(time.monotonic(), deadline)
                    time.sleep(0.05)
                process.send_signal(number)
                self.assertNotEqual(process.wait(timeout=LIMIT), 0)
                text = metrics.read_text()
                self.assertTrue(text.endswith("\n"))
                steps = [json.loads(line)["step"] for line in text.splitlines()]
                self.assertEqual(steps, list(range(1, len(steps) + 1)))

    def test_a_killed_rank_ends_the_job(self):
        process = subprocess.Popen(self.command("job.steps=1000000", "batch.global=6", ranks=3), stdout=subprocess.DEVNULL,
                                   stderr=subprocess.DEVNULL)
        deadline = time.monotonic() + LIMIT
        metrics = self.dir / "run/metrics.jsonl"
        while not (metrics.exists() and metrics.stat().st_size > 2000):
            self.assertLess(time.monotonic(), deadline)
            time.sleep(0.05)
        children = subprocess.run(["ps", "-o", "pid=", "--ppid", str(process.pid)], capture_output=True,
                                  text=True).stdout.split()
        os.kill(int(children[-1]), signal.SIGKILL)
        self.assertNotEqual(process.wait(timeout=LIMIT), 0)
        for line in metrics.read_text().splitlines():
            json.loads(line)

    def test_a_full_disk_is_said(self):
        disk = self.dir / "disk"
        disk.mkdir()
        mount = ["unshare", "--mount", "--map-root-user", "sh", "-c",
                 'mount -t tmpfs -o size=64k none "$0" && head -c 65536 /dev/zero > "$0/fill"; exec "$@"',
                 str(disk)]
        if subprocess.run([*mount, "true"], capture_output=True).returncode != 0:
            self.skipTest("no mount namespaces here")
        result = subprocess.run([*mount, *self.command(f'job.run_dir="{disk}/run"')], capture_output=True,
                                text=True, timeout=LIMIT)
        self.expect_mistake(result, ["disk", "space"])


if __name__ == "__main__":
    unittest.main(argv=sys.argv[:1])
