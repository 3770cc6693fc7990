#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""`lockstep submit` without a Slurm: whole scripts, quoting, mistakes, and stubs of sbatch, squeue and
sinfo that stand for a cluster.

submit_test.py LOCKSTEP [--write]      --write: the recorded scripts are written anew
"""

import json
import os
import pathlib
import shutil
import subprocess
import sys
import tempfile
import unittest

HERE = pathlib.Path(__file__).parent
LOCKSTEP = str(pathlib.Path(sys.argv[1]).resolve())
WRITE = "--write" in sys.argv

LICENCE = "# SPDX-License-Identifier: Apache-2.0"
NASTY = "it's a \"$(touch hacked)\" `id` 100% \\ & # é"

# Name -> keys of [slurm]; the script of each stands in scripts/NAME.sbatch.
SCRIPTS = {
    "plain": [],
    "gpu-cluster": ["slurm.nodes=64", "slurm.ranks_per_node=8", "slurm.gpus_per_rank=1", "slurm.cpus_per_rank=12",
                    "slurm.partition=big", "slurm.account=ml", "slurm.qos=long", "slurm.time=1-12:00", "slurm.memory=900G",
                    "slurm.constraint=a100&ib", "slurm.exclusive=true", 'slurm.modules=["gcc/12", "openmpi"]',
                    'slurm.environment=["NCCL_DEBUG=WARN", "GREETING=two words"]', "slurm.mpi_interface=ib0",
                    "slurm.nccl_interface=ib0", "slurm.preflight=true", "slurm.mail=me@example.org",
                    "slurm.dependency=afterok:12", 'slurm.options=["--reservation=spring"]',
                    'slurm.lines=["ulimit -c 0"]', "slurm.signal_seconds=300", "slurm.restarts=20",
                    "slurm.requeue_failures=true"],
    "container-array": ["slurm.container=/images/lockstep 1.sif", "slurm.gpus_per_rank=1", "slurm.array=1-8%2",
                        "slurm.array_key=job.seed", "slurm.requeue=dependent", "slurm.launcher=srun", "slurm.mpi=pmi2"],
    "mpirun": ["slurm.launcher=mpirun", "slurm.nodes=2", "slurm.requeue=off", "slurm.signal_seconds=0"],
}

STUBS = {
    "sinfo": 'echo "main*|4|4|7-00:00:00|gpu:2"; echo "high|4|4|infinite|(null)"',
    "squeue": 'cat queue 2>/dev/null || { echo "slurm_load_jobs error: Invalid job id specified" >&2; exit 1; }',
    "sbatch": 'echo "$@" >>calls; case "$*" in *--test-only*) echo "sbatch: fine" >&2; exit;; esac; echo 77',
}


class Submit(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.dir = pathlib.Path(folder.name)
        (self.dir / "job.toml").write_text('[job]\nname = "train"\n[batch]\nglobal = 512\n')
        self.bin = self.dir / "bin"
        self.bin.mkdir()

    def stub(self, **bodies):
        for name, body in bodies.items():
            (self.bin / name).write_text(f"#!/bin/bash\n{body}\n")
            (self.bin / name).chmod(0o755)

    def submit(self, *arguments, path=None):
        environment = {"PATH": f"{self.bin}:{path or '/usr/bin:/bin'}", "HOME": str(self.dir)}
        return subprocess.run([LOCKSTEP, "submit", "job.toml", *arguments], cwd=self.dir, env=environment,
                              capture_output=True, text=True, timeout=60)

    def sets(self, keys):
        return [word for key in keys for word in ("--set", key)]

    def calls(self):
        calls = self.dir / "calls"
        return calls.read_text().splitlines() if calls.exists() else []

    def expect_mistake(self, result, *texts):
        self.assertIn(result.returncode, (1, 2), result.stdout)
        self.assertEqual(len(result.stderr.splitlines()), 1, result.stderr)
        for text in texts:
            self.assertIn(text, result.stderr)

    # ---- scripts

    def test_whole_scripts(self):
        for name, keys in SCRIPTS.items():
            with self.subTest(name):
                result = self.submit("--dry-run", *self.sets([*keys, f"job.run_dir=runs/{name}",
                                                              "slurm.program=/opt/lockstep/bin/lockstep"]))
                self.assertEqual(result.returncode, 0, result.stderr)
                script = (self.dir / "runs" / name / "submit.sbatch").read_text().replace(str(self.dir.resolve()), "/here")
                script = script.replace("\n", f"\n{LICENCE}\n", 1)  # as every file of ours
                recorded = HERE / "scripts" / f"{name}.sbatch"
                if WRITE:
                    recorded.write_text(script)
                self.assertEqual(script, recorded.read_text())

    def test_shellcheck_finds_nothing(self):
        if not shutil.which("shellcheck"):
            self.skipTest("shellcheck is not installed: launch/dependencies slurm")
        root = HERE.parents[1]
        for script in [*(HERE / "scripts").glob("*.sbatch"), root / "slurm" / "sandbox", HERE / "run"]:
            with self.subTest(script.name):
                check = subprocess.run(["shellcheck", "-x", "-P", root, script], capture_output=True, text=True)
                self.assertEqual(check.stdout, "")

    def test_names_are_quoted_and_never_interpreted(self):
        run = f"runs/{NASTY}".replace("\\", "-")
        result = self.submit("--dry-run", *self.sets([f"job.name={NASTY}", f"job.run_dir={run}",
                                                      f"slurm.container={NASTY}", f"slurm.program={NASTY}",
                                                      'slurm.environment=["A=' + NASTY.replace("\\", "\\\\").replace('"', '\\"') + '"]']))
        self.assertEqual(result.returncode, 0, result.stderr)
        script = self.dir / run / "submit.sbatch"
        lines = script.read_text().splitlines()
        escaped = NASTY.replace("\\", "\\\\").replace('"', '\\"')
        self.assertIn(f'#SBATCH --job-name="{escaped}"', lines)
        # What bash makes of the assignments; the launcher is a stub that shows its words.
        self.stub(srun='[ "$1" = --mpi=list ] && { echo pmix >&2; exit; }; printf "<%s>" "$A" "$@" >>seen', sleep="")
        subprocess.run(["bash", script], cwd=self.dir, timeout=60, capture_output=True,
                       env={"PATH": f"{self.bin}:/usr/bin:/bin", "SLURM_JOB_ID": "1", "SLURM_JOB_NODELIST": "n1"})
        seen = (self.dir / "seen").read_text()
        self.assertIn(f"<{NASTY}><--mpi=pmix>", seen)
        self.assertIn(f"<apptainer><exec><{NASTY}><{NASTY}><train><{run}/submit.toml>", seen)
        self.assertFalse((self.dir / "hacked").exists())

    def test_ranks_that_never_began_are_started_again(self):
        self.assertEqual(self.submit("--dry-run").returncode, 0)
        run = self.dir / "runs/train"
        begins = 'touch "$LOCKSTEP_STARTED" "$LOCKSTEP_FINISHED"'
        for tries, ends in ((1, begins), (2, f"[ ! -e once ] || {begins}; touch once"), (3, "exit 1")):
            self.stub(srun='[ "$1" = --mpi=list ] && { echo pmix >&2; exit; }; ' + ends, sleep="")
            (run / "restarts.jsonl").unlink(missing_ok=True)
            script = subprocess.run(["bash", run / "submit.sbatch"], cwd=self.dir, timeout=60, capture_output=True,
                                    env={"PATH": f"{self.bin}:/usr/bin:/bin", "SLURM_JOB_ID": "1", "SLURM_JOB_NODELIST": "n1"})
            events = [json.loads(line)["event"] for line in (run / "restarts.jsonl").read_text().splitlines()]
            self.assertEqual(events, ["started"] + (tries - 1) * ["not begun"] + ["finished" if tries < 3 else "failed"])
            self.assertEqual(script.returncode, 0 if tries < 3 else 1)

    def test_what_ranks_would_find_out_is_found_before_the_queue(self):
        for keys, *texts in ((["model.kind=gpt2"], 'model.kind = "gpt2"', "gpt, llama, mlp"),
                             (["parallel.schedule=zb_h1"], "zb_h1", "zb-h1"),
                             (["collectives.compression=fp16"], "fp16", "float16"),
                             (["collectives.algorithm=rings"], "rings"),
                             (["slurm.nodes=3"], "batch.global = 512", "3"),
                             (["faults.inject=[\"eat rank 0\"]"], "eat"),
                             (["slurm.memory=1M", "slurm.ranks_per_node=2"], 'slurm.memory = "1M"', "tensors", "more ranks"),
                             (["job.software=megatron-2022"], "job.software")):
            with self.subTest(keys):
                self.expect_mistake(self.submit("--dry-run", *self.sets(keys)), *texts)
                self.assertFalse((self.dir / "runs").exists())
        elsewhere = self.submit("--dry-run", *self.sets(["data.kind=tokens", 'data.path=["on-the-nodes.bin"]']))
        self.assertEqual(elsewhere.returncode, 0, elsewhere.stderr)
        self.assertIn("on-the-nodes.bin is not on this node", elsewhere.stderr)

    def test_what_runs_is_what_was_submitted(self):
        self.assertEqual(self.submit("--dry-run", "--set", "job.steps=7").returncode, 0)
        resolved = (self.dir / "runs/train/submit.toml").read_text()
        self.assertRegex(resolved, r"(?m)^steps = 7 ")
        self.assertRegex(resolved, r'(?m)^run_dir = "?\'?runs/train')

    def test_site_gives_defaults(self):
        (self.dir / "site.toml").write_text('[slurm]\npartition = "here"\naccount = "ours"\n')
        self.assertEqual(self.submit("--dry-run", "--set", "slurm.account=mine").returncode, 0)
        script = (self.dir / "runs/train/submit.sbatch").read_text()
        self.assertIn("--partition=here\n", script)
        self.assertIn("--account=mine\n", script)
        self.expect_mistake(self.submit("--dry-run", "--site", "nowhere.toml"), "--site names nowhere.toml")

    # ---- submitting

    def test_a_job_is_checked_submitted_once_and_remembered(self):
        self.stub(**STUBS)
        result = self.submit("--json")
        self.assertEqual(result.returncode, 0, result.stderr)
        said = json.loads(result.stdout)
        self.assertGreater(said.pop("memory_bytes_per_rank"), 1e6)
        self.assertEqual(said, {"job_id": "77", "run_dir": "runs/train", "script": "runs/train/submit.sbatch",
                                "output": "runs/train/slurm-77.out"})
        self.assertIn("checkpoint.every = 0", result.stderr)
        self.assertEqual(self.calls(), ["--test-only runs/train/submit.sbatch", "--parsable runs/train/submit.sbatch"])

        (self.dir / "queue").write_text("77 PENDING\n")
        self.expect_mistake(self.submit(), "runs/train has a job in the queue: 77 PENDING")
        self.assertEqual(len(self.calls()), 2)

        (self.dir / "queue").unlink()  # it has ended
        result = self.submit()
        self.assertIn("follow   squeue -j 77; tail -F runs/train/slurm-77.out", result.stdout)
        self.stub(squeue='echo "slurm_load_jobs error: Unable to contact slurm controller" >&2; exit 1')
        self.expect_mistake(self.submit(), "Unable to contact slurm controller", "nothing is submitted")
        self.assertEqual(len(self.calls()), 4)

    def test_a_directory_with_a_run_is_continued_only_on_request(self):
        self.stub(**STUBS)
        (self.dir / "runs/train").mkdir(parents=True)
        (self.dir / "runs/train/job.toml").touch()
        self.expect_mistake(self.submit(), "already holds a run", "--resume")
        self.assertEqual(self.submit("--resume").returncode, 0)

    def test_mistakes(self):
        self.expect_mistake(self.submit(path="/nonexistent"), "Slurm is not installed here", "--dry-run")
        self.stub(**STUBS)
        for keys, texts in {
            ("slurm.partition=fast",): ["not one of this cluster's: main, high"],
            ("slurm.gpus_per_rank=3",): ["3 GPUs of a node", "main has 2"],
            ("slurm.time=2h",): ['slurm.time = "2h" must be minutes'],
            ('job.name="a\\nb"',): ["job.name holds a newline"],
            ("job.run_dir=a\\b",): ["backslash"],
            ("parallel.tensor=2", "parallel.data=1"): ["2", "1"],
            ("slurm.nodez=2",): ["slurm.nodez is not a key", "nodes"],
        }.items():
            with self.subTest(keys):
                self.expect_mistake(self.submit(*self.sets(keys)), *texts)
        self.stub(sbatch='echo "sbatch: error: no such account" >&2; exit 1')
        self.expect_mistake(self.submit(), "Slurm refuses the job (sbatch --test-only): no such account")
        self.assertFalse((self.dir / "runs/train/submissions.jsonl").exists())


if __name__ == "__main__":
    unittest.main(argv=sys.argv[:1])
