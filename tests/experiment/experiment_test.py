#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""`lockstep experiment` and `lockstep report` as a user meets them: predictions, runs, a kill in the
middle, failures, mistakes.

experiment_test.py LOCKSTEP SOURCES
"""

import csv
import json
import os
import pathlib
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import unittest

LOCKSTEP, SOURCES = sys.argv[1], pathlib.Path(sys.argv[2])
LIMIT = 120  # seconds for one command: a hang is a failure
# As a user has it: root needs no variables of Open MPI either.
ENVIRONMENT = {k: v for k, v in os.environ.items() if not k.startswith("OMPI_ALLOW_RUN_AS_ROOT")}

JOB = """
[job]
steps = 4
threads = 1
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
EXPERIMENT = """
[experiment]
name = "my study"
job = "job.toml"
study = "strong"
machine = "cpu"
repetitions = {repetitions}
skip_steps = 1
launch = {launch}
[axes]
{axes}
[hypothesis]
text = "it <scales>"
efficiency = 0.01
"""


def is_open_mpi():
    return "Open MPI" in subprocess.run(["mpirun", "--version"], capture_output=True, text=True).stdout


LAUNCH = '["--oversubscribe", "--bind-to", "none"]' if is_open_mpi() else "[]"


class Experiment(unittest.TestCase):
    def setUp(self):
        self.folder = tempfile.TemporaryDirectory()
        self.addCleanup(self.folder.cleanup)
        self.dir = pathlib.Path(self.folder.name) / "a dir"
        self.dir.mkdir()
        (self.dir / "text").write_text("".join(f"line {i} of the text\n" for i in range(3000)))
        (self.dir / "job.toml").write_text(JOB.format(dir=self.dir))
        self.write("ranks = [1, 2]")

    def write(self, axes, repetitions=1, extra=""):
        text = EXPERIMENT.format(axes=axes, repetitions=repetitions, launch=LAUNCH)
        (self.dir / "e.toml").write_text(text + extra)

    def lockstep(self, *words, env=None):
        return subprocess.run([LOCKSTEP, *map(str, words)], capture_output=True, text=True, cwd=self.dir,
                              stdin=subprocess.DEVNULL, timeout=LIMIT, env=env or ENVIRONMENT)

    def good(self, *words, env=None):
        result = self.lockstep(*words, env=env)
        self.assertEqual(result.returncode, 0, result.stderr + result.stdout)
        return result.stdout

    def expect_mistake(self, words, parts, env=None):
        result = self.lockstep(*words, env=env)
        self.assertEqual(result.returncode, 2, result.stderr + result.stdout)
        self.assertEqual(len(result.stderr.splitlines()), 1, result.stderr)
        for part in parts:
            self.assertIn(part, result.stderr)

    def rows(self):
        path = self.dir / "experiments/my study/results.jsonl"
        return [json.loads(line) for line in path.read_text().splitlines()]

    def report(self):
        return (self.dir / "experiments/my study/report.html").read_text()

    # ---- predictions

    def test_a_prediction_needs_no_ranks_and_makes_a_report(self):
        self.write('ranks = [1, 2, 4]\nmodel.layers = [1, 2]')
        said = self.good("experiment", "e.toml", "--launcher", "predict")
        self.assertIn("node hours", said)
        rows = self.rows()
        self.assertEqual(len(rows), 6)
        self.assertEqual({r["status"] for r in rows}, {"predicted"})
        self.assertTrue(all(r["measured"] is None and r["predicted"]["step_seconds"] > 0 for r in rows))
        self.assertEqual({r["config"]["model"]["layers"] for r in rows}, {1, 2})
        page = self.report()
        for part in ("my study", "it &lt;scales&gt;", "Amdahl", "Universal Scalability Law", "layers=2", "holds",
                     "Nothing was run", "exposed communication", "@media print"):
            self.assertIn(part, page)
        self.assertNotIn("http-equiv", page)
        with (self.dir / "experiments/my study/results.csv").open() as file:
            table = list(csv.DictReader(file))
        self.assertEqual(len(table), 6)
        self.assertIn("config.model.layers", table[0])
        again = self.good("experiment", "e.toml", "--launcher", "predict")
        self.assertIn("6 of them done", again)
        self.assertEqual(len(self.rows()), 6)

    def test_the_page_says_what_was_set_by_hand(self):
        self.good("experiment", "e.toml", "--launcher", "predict", "--set", "model.layers=3", "--set", "job.name=a b")
        for page in (self.report(), self.good("report", "experiments/my study") and self.report()):
            self.assertIn("--set model.layers=3", page)
            self.assertIn("job.name=", page)
            self.assertEqual(page.count("--set "), 2)

    def test_a_plan_runs_nothing(self):
        self.assertIn("2 points x 1 repetition = 2 runs", self.good("experiment", "e.toml", "--plan"))
        self.assertFalse((self.dir / "experiments").exists())

    def test_without_gnuplot_the_page_says_so(self):
        tools = self.dir / "bin"
        tools.mkdir()
        os.symlink("/bin/sh", tools / "sh")
        env = {**ENVIRONMENT, "PATH": str(tools)}
        said = self.good("experiment", "e.toml", "--launcher", "predict", env=env)
        self.assertIn("gnuplot is not installed", said)
        page = self.report()
        self.assertIn("gnuplot is not installed", page)
        self.assertNotIn("<svg", page)
        self.assertIn("tokens/s", page)

    def test_the_examples_are_predicted(self):
        for example in sorted((SOURCES / "launch/examples").glob("cluster-*.toml")):
            if "gpt" in example.name:
                continue
            with self.subTest(example=example.name):
                said = self.good("experiment", example, "--launcher", "predict")
                self.assertNotIn("failed", said)

    # ---- runs

    def test_runs_are_measured_recorded_and_not_run_again(self):
        said = self.good("experiment", "e.toml")
        self.assertIn("2/2", said)
        rows = self.rows()
        self.assertEqual({r["ranks"] for r in rows}, {1, 2})
        for row in rows:
            self.assertEqual((row["status"], row["exit_status"]), ("done", 0))
            self.assertEqual(row["measured"]["steps"], 3)
            self.assertGreater(row["measured"]["memory_bytes"], 0)
            breakdown = row["measured"]["breakdown"]
            self.assertAlmostEqual(sum(breakdown.values()), row["measured"]["step_seconds"], delta=1e-9)
            self.assertGreater(breakdown["computing"], 0)
            self.assertGreater(breakdown["optimizer"], 0)
        page = self.report()
        for part in ("limits", "measured:", "predicted:", "Amdahl"):
            self.assertIn(part, page)
        self.assertIn("2 of them done", self.good("experiment", "e.toml"))
        self.assertEqual(self.rows(), rows)
        # A point that is new is run beside those that are there.
        self.write("ranks = [1, 2]\nbatch.micro = [0, 1]")
        said = self.good("experiment", "e.toml", "--set", "model.layers=1", "--plan")
        self.assertIn("4 points", said)

    def test_a_run_has_a_page_of_its_own(self):
        self.good("train", "job.toml", "--set", "job.run_dir=run", "--set", "job.trace_steps=2", "--machine", "cpu",
                  "--set", "job.target_loss=9", "--set", "job.evaluate_every=2", "--set", "job.steps=6")
        summary = json.loads((self.dir / "run/summary.json").read_text())
        self.assertGreater(summary["target_seconds"], 0)
        self.assertTrue(0 <= summary["validation_accuracy"] <= 1)
        self.assertLessEqual(summary["target_seconds"], summary["train_seconds"])
        self.assertEqual((summary["ranks"], summary["nodes"]), (1, 1))
        self.assertGreater(summary["threads"], 0)
        self.good("report", "run")
        page = (self.dir / "run/report.html").read_text()
        for part in ("Loss", "Throughput", "Timeline", "Predicted against measured", "Memory at its peak",
                     "reached after"):
            self.assertIn(part, page)

    def test_mlperf_lines_are_those_that_mlperf_defines(self):
        said = self.good("train", "job.toml", "--set", "job.mllog=true", "--set", "job.target_loss=9",
                         "--set", "job.evaluate_every=2", "--set", "job.run_dir=run")
        lines = [json.loads(line[len(":::MLLOG "):]) for line in said.splitlines() if line.startswith(":::MLLOG ")]
        keys = [line["key"] for line in lines]
        self.assertEqual([key for key in keys if key.endswith(("_start", "_stop", "accuracy"))],
                         ["init_start", "init_stop", "run_start", "block_start", "block_stop", "eval_start",
                          "eval_accuracy", "eval_stop", "run_stop"])
        self.assertEqual({line["event_type"] for line in lines}, {"INTERVAL_START", "INTERVAL_END", "POINT_IN_TIME"})
        values = {line["key"]: line["value"] for line in lines}
        self.assertEqual((values["global_batch_size"], values["max_sequence_length"]), (4, 32))
        self.assertEqual(lines[-1]["metadata"]["status"], "success")
        self.assertEqual(lines[-1]["metadata"]["samples_count"], 8)

    def test_a_target_accuracy_ends_runs_and_is_what_mlperf_and_the_pages_show(self):
        sets = [word for key in ("job.target_accuracy=0.1", "job.evaluate_every=5", "job.steps=200",
                                 "optimizer.learning_rate=0.01", "job.mllog=true") for word in ("--set", key)]
        said = self.good("train", "job.toml", *sets, "--set", "job.run_dir=run")
        entries = [json.loads(line) for line in (self.dir / "run/metrics.jsonl").read_text().splitlines()]
        found = [(m["step"], m["validation_accuracy"]) for m in entries if "validation_accuracy" in m]
        self.assertGreaterEqual(found[-1][1], 0.1)
        self.assertTrue(all(accuracy < 0.1 for _, accuracy in found[:-1]))
        self.assertLess(found[-1][0], 200)
        self.assertEqual(entries[-1]["step"], found[-1][0])
        lines = [json.loads(line[len(":::MLLOG "):]) for line in said.splitlines() if line.startswith(":::MLLOG ")]
        self.assertEqual([line["value"] for line in lines if line["key"] == "eval_accuracy"], [a for _, a in found])
        self.assertEqual(lines[-1]["metadata"]["status"], "success")
        self.good("report", "run")
        page = (self.dir / "run/report.html").read_text()
        for part in ("Target: a validation accuracy of 10 %, reached after", "Share of the validation tokens"):
            self.assertIn(part, page)
        self.write("ranks = [1, 2]")
        self.good("experiment", "e.toml", *sets)
        for row in self.rows():
            self.assertGreaterEqual(row["measured"]["validation_accuracy"], 0.1)
            self.assertGreater(row["measured"]["target_seconds"], 0)
        self.assertIn("to target, s", self.report())

    def test_a_failure_is_a_row_and_the_rest_goes_on(self):
        # 3 heads cannot be split over 2 ranks; 2 can.
        self.write('ranks = [2]\nsize = [{name = "odd", model.heads = 3, model.hidden = 33, parallel.tensor = 2},\n'
                   '{name = "even", parallel.tensor = 2}]')
        said = self.good("experiment", "e.toml")
        self.assertRegex(said, "failed with status 2: .*heads")
        self.assertIn("1 of 2 runs failed", said)
        by_status = {r["status"]: r for r in self.rows()}
        self.assertEqual(set(by_status), {"done", "failed"})
        self.assertIn("heads", " ".join(by_status["failed"]["last_lines"]))
        self.assertIn("Failures", self.report())
        self.assertIn("2 of them done", self.good("experiment", "e.toml"))
        self.assertIn("1 of them done", self.good("experiment", "e.toml", "--retry-failed"))

    def test_nothing_but_failures_is_an_error(self):
        self.write('ranks = [2]\nmodel.heads = [1, 3]')
        words = ["experiment", "e.toml", "--set", "parallel.tensor=2", "--set", "model.hidden=33"]
        result = self.lockstep(*words)
        self.assertEqual(result.returncode, 1, result.stderr + result.stdout)
        self.assertEqual(len(result.stderr.splitlines()), 1, result.stderr)
        self.assertIn("lockstep: no result: 2 of 2 runs failed", result.stderr)
        self.assertIn("--retry-failed", result.stderr)
        self.assertIn("Failures", self.report())
        self.assertEqual(self.lockstep(*words).returncode, 1)  # they are not run again, nor forgotten

    def with_an_endless_run(self, directory):
        """The second run that is started there does not end by itself."""
        tools = self.dir / f"{directory}-tools"
        tools.mkdir()
        (tools / "mpirun").write_text(f"""#!/bin/sh
echo >>'{tools}/started'
[ $(wc -l <'{tools}/started') != 2 ] || set -- "$@" --set job.steps=1000000
exec {shutil.which("mpirun")} "$@"
""")
        (tools / "mpirun").chmod(0o755)
        return {**ENVIRONMENT, "PATH": f"{tools}:{ENVIRONMENT['PATH']}"}

    def test_killed_in_the_middle_it_continues(self):
        for how in (signal.SIGKILL, signal.SIGTERM):
            with self.subTest(how=how.name):
                self.write("ranks = [1]\nbatch.global = [1, 2]", repetitions=2)
                directory = f"k{how.value}"
                words = [LOCKSTEP, "experiment", "e.toml", "--dir", directory]
                running = subprocess.Popen(words, cwd=self.dir, env=self.with_an_endless_run(directory),
                                           stdout=subprocess.DEVNULL, stdin=subprocess.DEVNULL)
                results = self.dir / directory / "results.jsonl"
                deadline = time.monotonic() + LIMIT
                while not any(file.read_text().count("\n") > 20 for file in results.parent.rglob("metrics.jsonl")):
                    self.assertLess(time.monotonic(), deadline)
                    time.sleep(0.02)
                running.send_signal(how)
                status = running.wait(timeout=LIMIT)
                self.assertEqual(status, -how if how == signal.SIGKILL else 128 + how)
                first = results.read_text().splitlines()
                self.assertEqual(len(first), 1)
                self.good(*words[1:])
                rows = results.read_text().splitlines()
                self.assertEqual(rows[:len(first)], first)
                keys = [(json.loads(r)["point"], json.loads(r)["repetition"]) for r in rows]
                self.assertEqual(len(keys), 4)
                self.assertEqual(len(set(keys)), 4)

    # ---- mistakes

    def test_mistakes_are_one_line(self):
        self.write("batch.mcro = [1]")
        self.expect_mistake(["experiment", "e.toml"], ["e.toml:11", "batch.mcro", "did you mean batch.micro?"])
        self.write("ranks = [1]", extra='winner = "nobody"')
        self.expect_mistake(["experiment", "e.toml"], ['hypothesis.winner = "nobody" is no point', "ranks=1"])
        self.write("ranks = [1]", extra="prediction_error = 10")
        self.expect_mistake(["experiment", "e.toml"], ["hypothesis.prediction_error = 10: must be at", "at most 1"])
        self.write("ranks = [1]")
        self.expect_mistake(["experiment", "e.toml", "--launcher", "srun"], ["no srun in PATH", "predict"],
                            env={**ENVIRONMENT, "PATH": "/nowhere"})
        self.expect_mistake(["experiment", "e.toml", "--machine", "nobody"], ["no machine profile 'nobody'"])
        self.expect_mistake(["experiment", "e.toml", "--set", "model.heads=3"], ["point ranks=1", "model.heads"])
        self.expect_mistake(["experiment", "none.toml"], ["none.toml"])
        self.expect_mistake(["report", "."], ["neither a run"])

        self.good("experiment", "e.toml", "--launcher", "predict")
        results = self.dir / "experiments/my study/results.jsonl"
        row = self.rows()[0]
        results.write_text(json.dumps({**row, "format": 0, "version": "0.0.1"}) + "\n")
        for words in (["experiment", "e.toml", "--launcher", "predict"], ["report", "experiments/my study"]):
            self.expect_mistake(words, ["lockstep 0.0.1", "format 0", "another directory"])
        results.write_text(json.dumps({**row, "version": "0.0.1"}) + "\n")
        self.expect_mistake(["experiment", "e.toml", "--launcher", "predict"], ["results of lockstep 0.0.1"])
        self.good("report", "experiments/my study")


if __name__ == "__main__":
    unittest.main(argv=sys.argv[:1])
