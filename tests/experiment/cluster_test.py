#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""`lockstep experiment` on a real Slurm, the throw-away one of slurm/sandbox: a job for each point, and
one allocation for all.

cluster_test.py LOCKSTEP
"""

import json
import pathlib
import sys
import tempfile
import time
import unittest

sys.path.append(str(pathlib.Path(__file__).parents[1] / "slurm"))
from sandbox import SKIPPED, Cluster, missing  # noqa: E402

LOCKSTEP = str(pathlib.Path(sys.argv[1]).resolve())
LIMIT = 90  # seconds until a job has ended

JOB = """
[job]
steps = 4
[model]
layers = 1
hidden = 32
heads = 2
sequence = 32
[data]
path = ["text"]
[batch]
global = 4
"""
EXPERIMENT = """
[experiment]
name = "on a cluster"
job = "job.toml"
study = "strong"
machine = "cpu"
launcher = "sbatch"
allocation = "{allocation}"
ranks_per_node = 1
repetitions = 1
skip_steps = 1
[axes]
ranks = [1, 2]
"""


class OnCluster(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.cluster = Cluster()
        cls.addClassCleanup(cls.cluster.down)

    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.dir = pathlib.Path(folder.name)
        (self.dir / "text").write_text("".join(f"line {i} of the text\n" for i in range(3000)))
        (self.dir / "job.toml").write_text(JOB)

    def write(self, allocation):
        (self.dir / "e.toml").write_text(EXPERIMENT.format(allocation=allocation))

    def experiment(self, *words, check=True):
        return self.cluster.run(LOCKSTEP, "experiment", "e.toml", *words, cwd=self.dir, check=check)

    def rows(self):
        path = self.dir / "experiments/on a cluster/results.jsonl"
        return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []

    def expect_both(self):
        rows = {row["ranks"]: row for row in self.rows()}
        self.assertEqual({ranks: row["status"] for ranks, row in rows.items()}, {1: "done", 2: "done"}, rows)
        self.assertEqual(rows[2]["nodes"], 2)
        self.assertGreater(rows[2]["measured"]["step_seconds"], 0)

    def test_every_point_is_a_job_and_none_is_submitted_twice(self):
        self.write("point")
        said = self.experiment().stdout
        self.assertEqual(said.count(", repetition 1: done"), 2, said)
        self.expect_both()
        self.assertIn("2 of them done", self.experiment().stdout)
        jobs = list((self.dir / "experiments/on a cluster/runs").glob("*/submissions.jsonl"))
        self.assertEqual([len(file.read_text().splitlines()) for file in jobs], [1, 1])

    def test_one_allocation_runs_all_points(self):
        self.write("one")
        self.assertIn("runs the whole experiment", self.experiment().stdout)
        page = self.dir / "experiments/on a cluster/report.html"
        deadline = time.monotonic() + LIMIT
        while not page.exists():
            if time.monotonic() > deadline:
                output = [file.read_text() for file in self.dir.glob("experiments/on a cluster/*.out")]
                self.fail(f"no report: {output}")
            time.sleep(0.1)
        self.expect_both()

    def test_what_slurm_refuses_is_one_line(self):
        self.write("point")
        refused = self.experiment("--set", 'slurm.partition="nowhere"', check=False)
        self.assertEqual(refused.returncode, 2, refused.stdout)
        self.assertEqual(len(refused.stderr.splitlines()), 1, refused.stderr)
        self.assertIn("nowhere", refused.stderr)
        self.assertEqual(self.rows(), [])


if __name__ == "__main__":
    if missing():
        print(f"skipped: there is no {', '.join(missing())}; launch/dependencies slurm installs it")
        sys.exit(SKIPPED)
    unittest.main(argv=sys.argv[:1])
