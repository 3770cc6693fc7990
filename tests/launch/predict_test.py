#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""`lockstep predict` and `lockstep validate` as a user meets them: what they say, and mistakes.

predict_test.py LOCKSTEP MPIRUN      MPIRUN is tests/support/mpirun: MPIRUN RANKS COMMAND...
"""

import json
import os
import pathlib
import subprocess
import sys
import tempfile
import unittest

LOCKSTEP, MPIRUN = sys.argv[1:3]
LIMIT = 60  # seconds for one command: a hang is a failure

JOB = """
[job]
steps = 4
threads = 1
trace_steps = 2
run_dir = "{dir}/run"
[model]
layers = 1
hidden = 32
heads = 2
sequence = 32
[data]
path = ["{dir}/text"]
[batch]
global = 4
"""
MACHINE = """
[machine]
name = "small"
devices_per_node = 2
cores_per_node = 2
memory_bytes = 4e9
[[compute]]
dtype = "float32"
peak_flops = [1e11, 0.9e11, 1.1e11]
memory_bandwidth = 2e10
launch = 1e-6
gemm_efficiency = 0.8
attention_efficiency = 0.5
streaming_efficiency = 0.9
"""
JSON_KEYS = {"step_seconds", "interval", "in_range", "tokens_per_second", "mfu", "hfu", "memory_bytes",
             "breakdown", "memory_breakdown", "guessed"}


class Predict(unittest.TestCase):
    def setUp(self):
        self.folder = tempfile.TemporaryDirectory()
        self.addCleanup(self.folder.cleanup)
        self.dir = pathlib.Path(self.folder.name)
        (self.dir / "text").write_text("".join(f"line {i} of the text\n" for i in range(3000)))
        (self.dir / "job.toml").write_text(JOB.format(dir=self.dir))
        (self.dir / "m.toml").write_text(MACHINE)

    def lockstep(self, *words, ranks=1, threads=None):
        start = [MPIRUN, str(ranks)] if ranks > 1 else []
        environment = dict(os.environ, **({"OMP_NUM_THREADS": str(threads)} if threads else {}))
        return subprocess.run([*start, LOCKSTEP, *map(str, words)], capture_output=True, text=True, cwd=self.dir,
                              stdin=subprocess.DEVNULL, timeout=LIMIT, env=environment)

    def predict(self, *words):
        result = self.lockstep("predict", "job.toml", "--machine", "m.toml", *words)
        self.assertEqual(result.returncode, 0, result.stderr)
        return result.stdout

    def expect_mistake(self, result, words):
        self.assertEqual(result.returncode, 2, result.stderr)
        self.assertEqual(len(result.stderr.splitlines()), 1, result.stderr)
        for word in words:
            self.assertIn(word, result.stderr)

    # ---- predict

    def test_all_that_is_predicted_is_in_the_json(self):
        p = json.loads(self.predict("--ranks", 2, "--json"))
        self.assertLessEqual(JSON_KEYS, p.keys())
        low, high = p["interval"]
        self.assertLess(low, p["step_seconds"])
        self.assertLess(p["step_seconds"], high)
        self.assertFalse(p["in_range"])
        self.assertTrue(any(g["operation"].startswith("linear_forward") for g in p["guessed"]))
        parts = ("gemm", "attention", "streaming", "optimizer", "data", "launch", "exposed_communication", "waiting")
        self.assertAlmostEqual(sum(p["breakdown"][part] for part in parts), p["step_seconds"], delta=1e-9)
        self.assertEqual(sum(p["memory_breakdown"].values()), p["memory_bytes"])
        self.assertIn("data", p["breakdown"]["communication"])

    def test_copies_for_checkpoints_are_memory_of_the_host(self):
        def copies(*sets, ranks=1):
            p = json.loads(self.predict("--json", "--ranks", ranks, *(w for s in sets for w in ("--set", s))))
            return p["host_copies_bytes"] / (12 * p["parameters"])  # weights and two moments

        usual = ["checkpoint.every=10"]
        self.assertEqual(copies(), 0)
        self.assertAlmostEqual(copies(*usual), 1, delta=0.05)
        self.assertAlmostEqual(copies(*usual, "checkpoint.memory_every=2"), 1 + 3, delta=0.2)
        for zero in (0, 1, 2):  # two ranks share one node, four have two
            share = [*usual, "checkpoint.memory_every=2", f"parallel.zero={zero}", "batch.micro=1"]
            self.assertAlmostEqual(copies(*share, ranks=2), (1 + 3) / 2, delta=0.2)
            self.assertAlmostEqual(copies(*share, ranks=4), (1 + 5) / 4, delta=0.2)
        self.assertIn("in the host's memory", self.predict("--set", usual[0]))

    def test_the_table_says_the_same_and_set_changes_it(self):
        text = self.predict("--ranks", 2)
        for word in ("on 2 ranks of small", "outside the calibrated range", "optimizer", "guessed"):
            self.assertIn(word, text)
        one = json.loads(self.predict("--json", "--ranks", 1))
        more = json.loads(self.predict("--json", "--ranks", 1, "--set", "batch.global=16"))
        self.assertGreater(more["step_seconds"], 2 * one["step_seconds"])
        self.assertGreater(more["memory_breakdown"]["activations"], 3 * one["memory_breakdown"]["activations"])
        self.assertEqual(more["memory_breakdown"]["optimizer"], one["memory_breakdown"]["optimizer"])

    def test_other_threads_than_the_profiles_are_a_guess_that_is_told(self):
        of = lambda *options: self.predict("--ranks", 2, "--set", "job.threads=2", *options)
        self.assertIn("Guessed: rates of 1 thread a rank, taken in proportion for 2", of())
        two = json.loads(of("--json"))
        one = json.loads(self.predict("--ranks", 2, "--json"))
        self.assertIn("Guessed", two["note"])
        self.assertNotIn("Guessed", one["note"])
        self.assertIn("not calibrated", one["note"])
        self.assertAlmostEqual(two["breakdown"]["gemm"], one["breakdown"]["gemm"] / 2, delta=1e-9)

    def test_the_timeline_is_a_trace(self):
        self.predict("--ranks", 2, "--trace", "t.json")
        events = [e for e in json.loads((self.dir / "t.json").read_text())["traceEvents"] if e["ph"] == "X"]
        self.assertLessEqual({"forward", "backward", "reduce", "update", "linear_forward", "all_reduce"},
                             {e["name"] for e in events})
        groups = {(e["args"]["group"], e["args"]["ranks"]) for e in events if e["name"] == "all_reduce"}
        self.assertIn(("data", 2), groups)

    def test_mistakes_are_one_line(self):
        self.expect_mistake(self.lockstep("predict", "job.toml", "--machine", "nobody"),
                            ["no machine profile 'nobody'", "calibrate"])
        (self.dir / "m.toml").write_text(MACHINE.replace("attention_efficiency = 0.5\n", ""))
        self.expect_mistake(self.lockstep("predict", "job.toml", "--machine", "m.toml"),
                            ["compute.attention_efficiency", "'small'", "lockstep calibrate"])
        (self.dir / "m.toml").write_text(MACHINE.replace("float32", "bfloat16"))
        self.expect_mistake(self.lockstep("predict", "job.toml", "--machine", "m.toml"),
                            ['dtype = "float32"', "lockstep calibrate"])
        (self.dir / "m.toml").write_text(MACHINE)
        self.expect_mistake(self.lockstep("predict", "job.toml", "--machine", "m.toml", "--ranks", 3),
                            ["batch.global"])

    # ---- train and validate

    def test_a_run_records_its_prediction_and_is_validated(self):
        result = self.lockstep("train", "job.toml", "--machine", "m.toml", ranks=2)
        self.assertEqual(result.returncode, 0, result.stderr)
        self.assertIn("predicted step", result.stdout)
        steps = [json.loads(line) for line in (self.dir / "run/metrics.jsonl").read_text().splitlines()]
        predicted = json.loads(self.predict("--ranks", 2, "--json"))
        for step in (s for s in steps if "loss" in s):
            self.assertAlmostEqual(step["predicted_seconds"], predicted["step_seconds"], delta=1e-9)

        shown = self.lockstep("validate", "run", "--machine", "m.toml", "--rows", 99)
        self.assertEqual(shown.returncode, 0, shown.stderr)
        for word in ("linear_forward", "all_reduce", "constant MFU", "nearest measured", "closed formula",
                     "most to blame", "noise of the run"):
            self.assertIn(word, shown.stdout)
        v = json.loads(self.lockstep("validate", "run/trace.json", "--machine", "m.toml", "--json").stdout)
        self.assertAlmostEqual(v["predicted_step_seconds"], predicted["step_seconds"], delta=1e-9)
        self.assertEqual(v["errors"]["n"], len(v["operations"]))
        self.assertGreater(v["waiting_seconds"], 0)
        launches = {o["operation"]: o["launches"] for o in v["operations"]}
        self.assertEqual(launches["linear_forward 64x128x32"], 4)  # 2 steps on 2 ranks

        other = self.dir / "other.toml"
        other.write_text((self.dir / "job.toml").read_text().replace("layers = 1", "layers = 2"))
        self.expect_mistake(self.lockstep("validate", "run", "--machine", "m.toml", "--job", other),
                            ["run/trace.json is of another job", "less in 2 steps"])

    def test_threads_that_the_job_left_open_are_those_of_the_run(self):
        result = self.lockstep("train", "job.toml", "--machine", "m.toml", "--set", "job.threads=0", threads=3)
        self.assertEqual(result.returncode, 0, result.stderr)
        said = json.loads((self.dir / "run/summary.json").read_text())
        self.assertEqual(said["threads"], 3)
        v = json.loads(self.lockstep("validate", "run", "--machine", "m.toml", "--json").stdout)
        self.assertAlmostEqual(v["predicted_step_seconds"], said["predicted_seconds"], delta=1e-9)
        self.assertEqual(self.lockstep("report", "run").returncode, 0)
        self.assertIn("taken in proportion for 3", (self.dir / "run/report.html").read_text())

    def test_a_roofline_takes_a_trace_of_as_many_ranks(self):
        self.assertEqual(self.lockstep("train", "job.toml", ranks=2).returncode, 0)
        words = ["roofline", "job.toml", "--machine", "m.toml", "--trace", "run"]
        self.expect_mistake(self.lockstep(*words, "--ranks", 1), ["is the trace of 2 ranks", "say --ranks 2"])
        attained = self.lockstep(*words, "--ranks", 2)
        self.assertEqual(attained.returncode, 0, attained.stderr)

    def test_what_is_no_trace_is_one_line(self):
        self.expect_mistake(self.lockstep("validate", "run", "--machine", "m.toml"),
                            ["no trace can be read", "job.trace_steps"])
        (self.dir / "t.json").write_text("{}")
        self.expect_mistake(self.lockstep("validate", "t.json", "--machine", "m.toml"), ["t.json is no trace"])


if __name__ == "__main__":
    unittest.main(argv=sys.argv[:1])
