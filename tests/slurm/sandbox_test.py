#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Jobs on a real Slurm, the throw-away one of slurm/sandbox: trained on several nodes by both
launchers, preempted, robbed of a node, refused.

sandbox_test.py LOCKSTEP MPIRUN [--long]    --long: every launcher on 2 and 4 nodes, a real preemption,
                                            a lost node under both launchers
"""

import json
import pathlib
import re
import subprocess
import sys
import tempfile
import unittest

from sandbox import ROOT, SANDBOX, SKIPPED, Cluster, Job, missing

LOCKSTEP, MPIRUN = (str(pathlib.Path(path).resolve()) for path in sys.argv[1:3])
LONG = "--long" in sys.argv
QUICKSTART = ROOT / "launch" / "examples" / "quickstart.toml"
SHORT = ["job.steps=6", "optimizer.warmup_steps=2", "job.sample_length=0", "job.evaluate_every=0"]

JOB = """
[job]
steps = 150
[model]
layers = 2
hidden = 64
heads = 2
sequence = 64
dropout = 0.1
[data]
path = ["text"]
[batch]
global = 8
[slurm]
nodes = 2
"""


class Jobs(unittest.TestCase):
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

    def submit(self, name, *keys, file=None):
        job = Job(self.cluster, LOCKSTEP, file or self.dir / "job.toml", name, self.dir, *keys)
        self.addCleanup(self.cluster.run, "scancel", job.id, check=False)
        return job

    def complete(self, job):
        self.assertEqual(job.wait("COMPLETED", "FAILED", "TIMEOUT", "CANCELLED"), "COMPLETED", job.output())

    def events(self, job):
        """Without the launches that a busy node refused: they are tried again."""
        return [event["event"] for event in job.events() if event["event"] != "not begun"]

    # ---- training

    def test_the_quickstart_trains_as_under_mpirun(self):
        cases = [("srun", 2), ("mpirun", 4)] if not LONG else [("srun", 2), ("srun", 4), ("mpirun", 2), ("mpirun", 4)]
        for launcher, nodes in cases:
            with self.subTest(launcher=launcher, nodes=nodes):
                job = self.submit(f"{launcher}-{nodes}", f"slurm.nodes={nodes}", f"slurm.launcher={launcher}", *SHORT,
                                  file=QUICKSTART)
                self.complete(job)
                self.assertRegex(job.output(), rf"{nodes} ranks on {nodes} nodes")
                self.assertEqual(self.events(job), ["started", "finished"])
                alone = self.dir / f"alone-{nodes}"
                words = [word for key in (f"job.run_dir={alone}", *SHORT) for word in ("--set", key)]
                if not alone.exists():  # both launchers are held against one run
                    subprocess.run([MPIRUN, str(nodes), LOCKSTEP, "train", QUICKSTART, *words], check=True,
                                   capture_output=True, timeout=120)
                self.compare(job.losses(), alone)

    def compare(self, losses, directory):
        """Sums over several nodes are taken in another order than over one."""
        entries = [json.loads(line) for line in (directory / "metrics.jsonl").read_text().splitlines()]
        wanted = {entry["step"]: entry["loss"] for entry in entries if "loss" in entry}
        self.assertEqual(losses.keys(), wanted.keys())
        for step, loss in wanted.items():
            self.assertAlmostEqual(losses[step], loss, delta=2e-4 * loss, msg=f"step {step}")

    def test_names_with_spaces_and_shell_characters(self):
        job = self.submit("it's \"a\" $(touch hacked) & 100%", "job.steps=3")
        self.complete(job)
        self.assertEqual(len(job.losses()), 3)
        self.assertEqual(list(self.dir.glob("**/hacked")), [])
        shown = self.cluster.run("scontrol", "show", "job", job.id).stdout
        self.assertIn("JobName=it's \"a\" $(touch hacked) & 100%\n", shown)

    def test_preflight(self):
        job = self.submit("checked", "job.steps=3", "slurm.preflight=true", "slurm.gpus_per_rank=1",
                          "slurm.ranks_per_node=2")
        self.complete(job)
        self.assertRegex(job.output(), r"ok +nodes +2 of 2 ranks each")
        self.assertRegex(job.output(), r"ok +GPUs +every rank has 1 of its own")
        self.assertRegex(job.output(), r"ok +network +\d+\.\d+ GB/s each way between nodes")
        self.assertEqual(list(job.run_dir.glob(".preflight*")), [])

    def test_a_preflight_that_finds_a_problem_ends_the_job(self):
        job = self.submit("lacking", "slurm.preflight=true", "slurm.nodes=1", 'data.path=["nowhere"]')
        self.assertEqual(job.wait("FAILED", "COMPLETED"), "FAILED")
        self.assertRegex(job.output(), r"problem +data +node\d: .*nowhere")
        self.assertIn("-> remedy", job.output())
        self.assertEqual(self.events(job), ["started", "failed"])
        self.assertEqual(job.losses(), {})

    # ---- preemption

    def test_preempted_twice_it_ends_as_if_undisturbed(self):
        keys = ["job.steps=90", "checkpoint.every=25"]
        # Rank 0 waits for the preemption: a busy machine may bring it late.
        waits = [f"delay rank 0 step {25 * life + 1} seconds 600 life {life - 1}" for life in (1, 2)]
        undisturbed = self.submit("undisturbed", *keys)
        job = self.submit("preempted", *keys, f"faults.inject={json.dumps(waits)}")
        for life in (1, 2):
            job.wait_for("a step", lambda life=life: self.events(job).count("started") == life and
                         max(job.losses(), default=0) >= 25 * life)
            job.preempt()
            job.wait_for("the way back", lambda life=life: self.events(job).count("requeued") == life)
            job.wait("RUNNING")
        self.complete(job)
        self.complete(undisturbed)
        self.assertEqual(self.events(job), 2 * ["started", "stopped", "requeued"] + ["started", "finished"])
        self.assertEqual([event["restart"] for event in job.events() if event["event"] != "not begun"],
                         [0, 0, 0, 1, 1, 1, 2, 2])
        self.assertEqual(len(job.losses()), 90)
        self.assertEqual(job.losses(), undisturbed.losses())

    def test_a_more_urgent_job_takes_its_nodes(self):
        if not LONG:
            self.skipTest("with --long")
        for launcher in ("srun", "mpirun"):
            with self.subTest(launcher):
                # With all of its nodes: beside cores that are free the urgent one would just start.
                keys = ["job.steps=800", "checkpoint.every=500", "slurm.nodes=4", "slurm.exclusive=true",
                        f"slurm.launcher={launcher}"]
                job = self.submit(f"patient-{launcher}", *keys)
                job.wait_for("a step", lambda job=job: len(job.losses()) >= 20)
                urgent = self.submit(f"urgent-{launcher}", "job.steps=5", "slurm.nodes=4", "slurm.partition=high")
                self.complete(urgent)
                self.complete(job)
                self.assertEqual(self.events(job), ["started", "stopped", "requeued", "started", "finished"])
                self.assertEqual(len(job.losses()), 800)

    def test_before_its_time_is_up_it_goes_back_to_the_queue(self):
        if not LONG:
            self.skipTest("with --long")
        job = self.submit("timed", "job.steps=100000", "checkpoint.every=100000", "slurm.nodes=1", "slurm.time=2",
                          "slurm.signal_seconds=60")
        job.wait_for("the warning", lambda: "requeued" in self.events(job), limit=200)
        job.wait("RUNNING")
        job.wait_for("the next life", lambda: self.events(job)[-1] == "started")
        before = max(job.losses())
        job.wait_for("further steps", lambda: max(job.losses()) > before)
        self.assertEqual(self.events(job), ["started", "stopped", "requeued", "started"])
        steps = sorted(job.losses())  # it goes on meanwhile
        self.assertEqual(steps, list(range(1, len(steps) + 1)))

    def test_at_most_so_many_restarts(self):
        if not LONG:
            self.skipTest("with --long")
        job = self.submit("limited", "job.steps=100000", "checkpoint.every=1000", "slurm.restarts=1", "slurm.nodes=1",
                          "slurm.requeue=dependent")
        job.wait_for("a step", lambda: len(job.losses()) >= 5)
        job.preempt()
        job.wait_for("the next job", lambda: self.events(job)[-1:] == ["started"] and len(job.events()) > 1)
        job.id = job.events()[-1]["job_id"]
        steps = max(job.losses())
        job.wait_for("a step", lambda: max(job.losses()) > steps)
        job.preempt()
        job.wait_for("the end", lambda: self.events(job)[-1] == "given up")
        self.assertEqual(self.events(job), ["started", "stopped", "requeued", "started", "stopped", "given up"])

    # ---- the loss of a node

    def test_a_lost_node_ends_the_job_or_brings_it_back(self):
        for launcher in ("mpirun", "srun") if LONG else ("mpirun",):
            with self.subTest(launcher):
                job = self.submit(f"lost-{launcher}", f"slurm.launcher={launcher}", "job.steps=100000")
                job.wait_for("the fifth step", lambda job=job: len(job.losses()) >= 5)
                node = int(re.search(r" NodeList=node\[?\d[-,](\d)", self.cluster.state(job.id)[1]).group(1))
                self.cluster.cut(node)
                self.addCleanup(self.mend, node)
                if launcher == "mpirun":  # notices by itself, within seconds
                    job.wait_for("the end", lambda job=job: self.events(job)[-1] == "failed")
                    self.assertIn("lost communication", job.output())
                    # Slurm must know of the script's end before it knows of the node's: a job that still runs on a
                    # node that is down starts again on others.
                    job.wait("COMPLETING", "FAILED")
                    self.down(node)  # what it would find out by itself after a minute
                    self.assertEqual(job.wait("FAILED", "COMPLETED"), "FAILED")
                else:  # Slurm misses the node after SlurmdTimeout, and starts the job again on others
                    job.wait("PENDING", limit=200)
                    job.wait("RUNNING")
                    job.wait_for("the second life", lambda job=job: self.events(job).count("started") == 2)
                    self.assertEqual(job.events()[-1]["restart"], 1)

    def down(self, node):
        self.cluster.run("scontrol", "update", f"nodename=node{node}", "state=down", "reason=cut")

    def mend(self, node):
        self.down(node)
        self.cluster.boot(node)

    # ---- mistakes

    def test_what_the_cluster_does_not_have(self):
        for keys, text in {("slurm.partition=fast",): "not one of this cluster's: main, high",
                           ("slurm.gpus_per_rank=3",): "is 3 GPUs of a node, but partition main has 2",
                           ("slurm.nodes=5", "batch.global=10"): "is 5 nodes, but partition main has 4",
                           ("slurm.account=x", 'slurm.options=["--licenses=none"]'): "Slurm refuses the job"}.items():
            with self.subTest(keys):
                with self.assertRaisesRegex(RuntimeError, text) as raised:
                    self.submit("wrong", *keys)
                self.assertEqual(len(str(raised.exception).splitlines()), 1)

    def test_nothing_is_submitted_twice(self):
        job = self.submit("once", "job.steps=100000", "slurm.nodes=1")
        with self.assertRaisesRegex(RuntimeError, f"has a job in the queue: {job.id} "):
            self.submit("once")
        self.cluster.run("scancel", job.id)
        job.wait("CANCELLED")
        job.wait_for("its end", lambda: not self.cluster.run("squeue", "-h").stdout)


class Sandbox(unittest.TestCase):
    def test_a_script_for_64_nodes_of_8_gpus(self):
        cluster = Cluster("--nodes", "1", "--cpus", "96", "--gpus", "8", "--declared", "64")
        self.addCleanup(cluster.down)
        with tempfile.TemporaryDirectory() as folder:
            keys = ["slurm.nodes=64", "batch.global=2048", "slurm.partition=big", f"job.run_dir={folder}/run"]
            words = [word for key in keys for word in ("--set", key)]
            example = ROOT / "launch" / "examples" / "gpu-cluster.toml"
            made = cluster.run(LOCKSTEP, "submit", example, "--dry-run", *words, cwd=folder)
            self.assertIn("not submitted", made.stdout)
            test = cluster.run("sbatch", "--test-only", f"{folder}/run/submit.sbatch", cwd=folder)
            self.assertRegex(test.stderr, r"to start at .* using 6144 processors on nodes big\[1-64\]")

    def test_two_at_a_time_and_nothing_left(self):
        here = Cluster("--nodes", "1")
        self.addCleanup(here.down)
        inner = 'sinfo -h -o %D; echo "$SLURM_CONF"'
        there = subprocess.run([SANDBOX, "run", "--nodes", "2", "bash", "-c", inner], capture_output=True, text=True,
                               timeout=120)
        self.assertEqual(there.stdout.split()[0], "2", there.stderr)
        self.assertFalse(pathlib.Path(there.stdout.split()[-1]).parent.exists())
        self.assertEqual(here.run("srun", "hostname").returncode, 0)
        self.assertEqual(subprocess.run([SANDBOX, "run", "--nodes", "1", "sh", "-c", "exit 5"], timeout=120).returncode, 5)


if __name__ == "__main__":
    if missing():
        print(f"skipped: {', '.join(missing())} missing; launch/dependencies slurm installs what is needed")
        sys.exit(SKIPPED)
    unittest.main(argv=[sys.argv[0], *(word for word in sys.argv[3:] if word != "--long")])
