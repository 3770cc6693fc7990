#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""What a job does when something goes wrong: faults on purpose ([faults]) and the answers of [failures].

failures_test.py LOCKSTEP MPIRUN      MPIRUN is tests/support/mpirun: MPIRUN RANKS COMMAND...
"""

import json
import os
import pathlib
import re
import signal
import subprocess
import sys
import tempfile
import time
import unittest

LOCKSTEP, MPIRUN = sys.argv[1:3]
LIMIT = 60          # seconds for one run: a hang is a failure
DEADLINE = 2        # of an operation, where a test waits for it
GRACE = 2           # seconds after it in which the job must have ended
NOISE = 30          # that a busy machine may add: the test looks for hangs, not for milliseconds

JOB = """
[job]
steps = 8
run_dir = "{dir}/run"
[model]
layers = 2
hidden = 32
heads = 2
sequence = 16
[data]
path = ["{dir}/text"]
[batch]
global = 4
micro = 1
"""
SOON = f"collectives.timeout_seconds={DEADLINE}"


class Failures(unittest.TestCase):
    def setUp(self):
        self.folder = tempfile.TemporaryDirectory()
        self.addCleanup(self.folder.cleanup)
        self.dir = pathlib.Path(self.folder.name)
        (self.dir / "text").write_text("".join(f"line {i} of the text\n" for i in range(3000)))
        (self.dir / "job.toml").write_text(JOB.format(dir=self.dir))
        self.runs = 0

    def train(self, ranks, *sets, inject=(), arguments=()):
        """In a run directory of its own."""
        self.runs += 1
        self.run = self.dir / f"run-{self.runs}"
        sets = [f'job.run_dir="{self.run}"', f"faults.inject={json.dumps(list(inject))}", *sets]
        start = [] if arguments else [MPIRUN, str(ranks)]
        command = [*start, LOCKSTEP, "train", str(self.dir / "job.toml"), *arguments,
                   *(word for item in sets for word in ("--set", item))]
        self.last = subprocess.run(command, capture_output=True, text=True, stdin=subprocess.DEVNULL, timeout=LIMIT)
        return self.last

    def metrics(self):
        lines = (self.run / "metrics.jsonl").read_text().splitlines()
        return [m for m in map(json.loads, lines) if "loss" in m]

    def expect_said(self, result, status, *words):
        self.assertEqual(result.returncode, status, result.stderr)
        for word in words:
            self.assertRegex(result.stderr, word)

    # ---- values that are not finite

    def test_nan_names_the_rank_and_the_parameter(self):
        where = "blocks.1.mlp.up.weight"
        fault = [f"nan rank 1 step 3 in {where}"]
        for sets in ([], ["parallel.pipeline=2"]):
            with self.subTest(sets=sets):
                result = self.train(2, *sets, inject=fault)
                self.expect_said(result, 2, r"step 3: the gradient norm is nan; computed again, the first value that "
                                 rf"is not finite is in the gradient of {where} on rank 1; .*failures.nonfinite")
                self.assertEqual([m["step"] for m in self.metrics()], [1, 2, 3])
        for sets in (["parallel.zero=1"], ["parallel.zero=3"], ['job.determinism="layout"', "job.threads=1"]):
            with self.subTest(sets=sets):
                result = self.train(2, 'failures.nonfinite="skip"', *sets, inject=fault)
                self.expect_said(result, 0, rf"gradient of {where} on rank 1; the step is left out \(1 so far\)")
                self.assertEqual([m["step"] for m in self.metrics() if m.get("skipped")], [3])
                self.assertTrue(all(m["loss"] for m in self.metrics()))

    def test_a_loss_that_is_no_number(self):
        result = self.train(2, inject=["nan rank 0 step 2 in loss"])
        self.expect_said(result, 2, "step 2: the loss is nan; computed again, .* is in the loss on rank 0")

    def test_skipping_ends(self):
        faults = [f"nan rank 0 step {step}" for step in range(2, 7)]
        result = self.train(1, 'failures.nonfinite="skip"', "failures.skips=3", inject=faults)
        self.expect_said(result, 2, "step 5: .* more than failures.skips = 3 steps in a row")

    def test_a_damaged_message_is_no_fault_of_the_model(self):
        result = self.train(2, inject=["corrupt rank 1 step 4"])
        self.expect_said(result, 1, "step 4: the gradient norm is inf; computed again all is finite: a value was damaged")
        result = self.train(2, 'failures.nonfinite="skip"', inject=["corrupt rank 1 step 4"])
        self.expect_said(result, 0, "left out")

    def test_a_spike_is_left_out_or_training_goes_back(self):
        usual = ["job.steps=14", "failures.spike_window=8", "checkpoint.every=4"]
        fault = ["spike rank 1 step 10 in loss"]
        self.assertEqual(self.train(2, *usual).returncode, 0)
        losses = {m["step"]: m["loss"] for m in self.metrics()}
        for policy, words in (("warn", "step 10: the loss .* above the mean"), ("skip", r"left out \(1 so far\)"),
                              ("roll_back", "continued from .*8")):
            with self.subTest(policy=policy):
                result = self.train(2, f'failures.spike="{policy}"', *usual, inject=fault)
                self.expect_said(result, 0, words)
                steps = self.metrics()
                self.assertEqual([m["step"] for m in steps], list(range(1, 15)))
                self.assertEqual([m["step"] for m in steps if m.get("skipped")], [] if policy == "warn" else [10])
                for m in steps[:9]:
                    self.assertEqual(m["loss"], losses[m["step"]])

    def test_spikes_are_judged_by_what_came_before_a_restart(self):
        supervise = ["--ranks", "2", "--restarts", "1", "--launcher", f"{MPIRUN} {{ranks}}"]
        result = self.train(2, "job.steps=12", "failures.spike_window=8", "checkpoint.every=4", "checkpoint.async=false",
                            inject=["nan rank 0 step 3", "kill rank 0 step 9", "spike rank 1 step 10 in loss life 1"],
                            arguments=[*supervise, "--set", 'failures.nonfinite="skip"', "--set", 'failures.spike="skip"'])
        self.expect_said(result, 0, "continued from .*8", r"step 10: the loss .* left out \(2 so far\)")
        self.assertEqual([m["step"] for m in self.metrics() if m.get("skipped")], [3, 10])

    # ---- ranks, and starting again

    def test_a_lost_rank_is_started_again(self):
        usual = ["job.steps=10", "checkpoint.every=3"]
        self.assertEqual(self.train(2, *usual).returncode, 0)
        losses = [m["loss"] for m in self.metrics()]
        supervise = ["--ranks", "2", "--restarts", "2", "--launcher", f"{MPIRUN} {{ranks}}"]
        for fault in ("kill rank 1 step 8", "stop rank 1 step 8"):
            with self.subTest(fault=fault):
                result = self.train(2, *usual, *[SOON] * fault.startswith("stop"), inject=[fault], arguments=supervise)
                self.expect_said(result, 0, r"status \d+ after step [78]; restart 1 of 2, on 2 ranks", "continued from .*[36]\n")
                self.assertEqual([m["step"] for m in self.metrics()], list(range(1, 11)))
                self.assertEqual([m["loss"] for m in self.metrics()], losses)

    def test_ctrl_c_stops_ranks_that_it_started(self):
        for number in (signal.SIGINT, signal.SIGTERM):
            run = self.dir / f"stopped-{number}"
            command = [LOCKSTEP, "train", str(self.dir / "job.toml"), "--ranks", "2", "--restarts", "1",
                       "--launcher", f"{MPIRUN} {{ranks}}", "--set", "job.steps=1000000", "--set", "checkpoint.every=100000",
                       "--set", f'job.run_dir="{run}"']
            process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
            metrics, end = run / "metrics.jsonl", time.monotonic() + LIMIT
            while not (metrics.exists() and metrics.stat().st_size > 1000):
                self.assertLess(time.monotonic(), end)
                time.sleep(0.02)
            process.send_signal(number)
            said = process.communicate(timeout=LIMIT)[1]
            self.assertEqual(process.returncode, 128 + number, said)
            self.assertNotIn("restart 1", said)

    def test_restarts_end(self):
        supervise = ["--ranks", "2", "--restarts", "1", "--launcher", f"{MPIRUN} {{ranks}}"]
        faults = [f"kill rank 1 step 3 life {life}" for life in range(3)]
        result = self.train(2, inject=faults, arguments=supervise)
        self.assertNotEqual(result.returncode, 0)
        self.assertRegex(result.stderr, "no restart is left")
        self.expect_said(self.train(2, inject=["nan rank 0 step 2"], arguments=supervise), 2, "the gradient norm is nan")
        self.assertNotIn("restart 1", self.last.stderr)

    def test_fewer_ranks_where_the_same_come_no_farther(self):
        supervise = ["--ranks", "3", "--restarts", "2", "--least-ranks", "1", "--launcher", f"{MPIRUN} {{ranks}}"]
        result = self.train(3, "batch.global=6", "checkpoint.every=2", "job.steps=6",
                            inject=["kill rank 1 step 4", "kill rank 1 step 4 life 1"], arguments=supervise)
        self.expect_said(result, 0, "restart 1 of 2, on 3 ranks", "restart 2 of 2, on 2 ranks")
        self.assertEqual([m["step"] for m in self.metrics()], list(range(1, 7)))


    def test_a_stopped_rank_gives_a_verdict(self):
        result = self.train(3, "batch.global=6", "job.steps=1000000", SOON, inject=["stop rank 2 step 5"])
        seconds = time.time() - os.path.getmtime(self.run / "metrics.jsonl")
        print(f"a stopped rank: {seconds:.2f} s", file=sys.stderr)
        self.assertNotEqual(result.returncode, 0)
        self.assertRegex(result.stderr, r"not complete after \d.*rank 2 \(pid \d+ on node .*stopped")
        self.assertLess(seconds, DEADLINE + GRACE + NOISE)
        self.assertEqual([m["step"] for m in self.metrics()], [1, 2, 3, 4])

    def test_a_killed_rank_ends_the_job(self):
        result = self.train(2, inject=["kill rank 1 step 3"])
        self.assertNotEqual(result.returncode, 0)
        self.assertEqual([m["step"] for m in self.metrics()], [1, 2])

    def test_a_slow_rank_is_named_within_20_steps(self):
        result = self.train(2, "job.steps=24", "model.hidden=128", "model.sequence=64", inject=["slow rank 1 step 4 factor 5"])
        self.assertEqual(result.returncode, 0, result.stderr)
        named = re.search(r"this rank, (\d+) on .*, is slow: .* in steps (\d+) to (\d+), .* costs (\d+) %", result.stderr)
        self.assertIsNotNone(named, result.stderr)
        self.assertEqual(named[1], "1")
        self.assertLessEqual(int(named[3]), 4 + 20)
        self.assertGreater(int(named[4]), 20)

    def test_a_delay_is_only_late(self):
        self.assertEqual(self.train(2, inject=["delay rank 1 step 3 seconds 0.5"]).returncode, 0)

    # ---- the world outside

    def test_a_failed_write_is_said(self):
        result = self.train(2, inject=["fail_write rank 0 step 5"])
        self.expect_said(result, 1, r"cannot write .*metrics.jsonl: File too large")
        self.assertEqual([m["step"] for m in self.metrics()], [1, 2, 3, 4])

    def test_a_signal_stops_after_a_whole_step(self):
        result = self.train(2, "job.steps=1000000", inject=["terminate rank 1 step 4"])
        self.assertNotEqual(result.returncode, 0)
        self.assertIn("stopped by a signal after step 4\n", result.stderr)
        self.assertEqual([m["step"] for m in self.metrics()], [1, 2, 3, 4])

    def test_data_that_shrink_are_named(self):
        tokens = self.dir / "tokens.bin"
        tokens.write_bytes(bytes(200000))
        command = [LOCKSTEP, "train", str(self.dir / "job.toml"), "--set", "job.steps=1000000", "--set", "data.kind=tokens",
                   "--set", f'data.path="{tokens}"', "--set", f'job.run_dir="{self.dir}/shrunk"']
        process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
        metrics, end = self.dir / "shrunk/metrics.jsonl", time.monotonic() + LIMIT
        while not (metrics.exists() and metrics.stat().st_size > 1000):
            self.assertLess(time.monotonic(), end)
            time.sleep(0.02)
        os.truncate(tokens, 100)
        said = process.communicate(timeout=LIMIT)[1]
        self.assertEqual(process.returncode, 1, said)
        self.assertRegex(said, r"lockstep: data.path: .*tokens.bin has become shorter while it was read")

    def test_mistakes(self):
        cases = {"kill rank 2 step 1": "only 2 ranks", "kil rank 0 step 1": "allowed: kill"}
        for fault, word in cases.items():
            with self.subTest(fault=fault):
                result = self.train(2, inject=[fault])
                self.expect_said(result, 2, f"faults.inject: .*{word}")
                self.assertFalse(self.run.exists())
                self.assertEqual(result.stderr.count("lockstep: "), 1, result.stderr)


if __name__ == "__main__":
    unittest.main(argv=[sys.argv[0], *sys.argv[3:]])
