# SPDX-License-Identifier: Apache-2.0
"""A throw-away cluster for tests: slurm/sandbox up ... down, and jobs of Lockstep on it."""

import json
import os
import pathlib
import shutil
import subprocess
import time

ROOT = pathlib.Path(__file__).parents[2]
SANDBOX = ROOT / "slurm" / "sandbox"
PACKAGES = ["munged", "slurmctld", "slurmd", "sbatch", "srun", "scontrol"]
SKIPPED = 77  # ctest: skipped
LIMIT = 90  # seconds that a job may take to get into a state


def missing():
    path = os.environ["PATH"] + ":/usr/sbin:/sbin"
    return [program for program in PACKAGES if not shutil.which(program, path=path)]


class Cluster:
    def __init__(self, *options):
        up = subprocess.run([SANDBOX, "up", "--with", str(os.getpid()), *options], capture_output=True, text=True, timeout=120)
        if up.returncode != 0:
            raise RuntimeError(up.stderr)
        self.dir = pathlib.Path(up.stdout.split()[-1])
        shell = subprocess.run(["bash", "-c", f"source {self.dir}/env && env -0"], capture_output=True, check=True)
        self.environment = dict(item.split("=", 1) for item in shell.stdout.decode().split("\0") if item)
        self.environment["OMP_NUM_THREADS"] = "1"

    def down(self):
        subprocess.run([SANDBOX, "down", self.dir], check=True, timeout=60)

    def cut(self, node):
        """Power off: its slurmd and its ranks die together."""
        subprocess.run([SANDBOX, "cut", self.dir, str(node)], check=True, timeout=60)

    def boot(self, node):
        subprocess.run([SANDBOX, "boot", self.dir, str(node)], check=True, timeout=60)
        self.run("scontrol", "update", f"nodename=node{node}", "state=resume")

    def run(self, *command, check=True, cwd=None):
        result = subprocess.run([str(word) for word in command], env=self.environment, capture_output=True, text=True,
                                timeout=120, cwd=cwd)
        if check and result.returncode != 0:
            raise RuntimeError(f"{command}: {result.stderr}")
        return result

    # ---- jobs

    def state(self, job):
        """A word such as RUNNING, and everything that Slurm knows of the job."""
        shown = self.run("scontrol", "show", "job", "-o", job).stdout
        return dict(item.split("=", 1) for item in shown.split() if "=" in item)["JobState"], shown

    def wait(self, job, *states, limit=LIMIT):
        deadline = time.monotonic() + limit
        while True:
            state, shown = self.state(job)
            if state in states:
                return state
            if state == "PENDING" and "BeginTime" in shown:
                time.sleep(2)  # in the second of its requeue nodes still refuse it; after that it need not wait
                self.run("scontrol", "update", f"jobid={job}", "StartTime=now", check=False)
            if time.monotonic() > deadline:
                raise TimeoutError(f"job {job} is {state}, not {' or '.join(states)}: {shown}")
            time.sleep(0.1)


class Job:
    """A job that `lockstep submit` brought into the queue of a cluster."""

    def __init__(self, cluster, lockstep, file, name, folder, *keys):
        self.cluster, self.run_dir = cluster, folder / name
        words = [word for key in (f"job.run_dir={self.run_dir}", f"job.name={name}", *keys) for word in ("--set", key)]
        made = cluster.run(lockstep, "submit", file, "--json", *words, cwd=folder, check=False)
        if made.returncode != 0:
            raise RuntimeError(made.stderr)
        self.id = json.loads(made.stdout)["job_id"]
        self.output_file = json.loads(made.stdout)["output"]

    def wait(self, *states, limit=LIMIT):
        try:
            return self.cluster.wait(self.id, *states, limit=limit)
        except TimeoutError as error:
            raise TimeoutError(f"{error}\n{self.output()}") from None

    def output(self):
        file = pathlib.Path(self.output_file)
        return file.read_text() if file.exists() else ""

    def metrics(self):
        file = self.run_dir / "metrics.jsonl"
        lines = file.read_text().splitlines() if file.exists() else []
        return [json.loads(line) for line in lines if line.endswith("}")]

    def losses(self):
        """Loss by step; of a step that was done again, the last."""
        return {entry["step"]: entry["loss"] for entry in self.metrics() if "loss" in entry}

    def events(self):
        file = self.run_dir / "restarts.jsonl"
        return [json.loads(line) for line in file.read_text().splitlines()] if file.exists() else []

    def wait_for(self, what, condition, limit=LIMIT):
        deadline = time.monotonic() + limit
        while not condition():
            if time.monotonic() > deadline:
                raise TimeoutError(f"{what} did not come:\n{self.output()}")
            time.sleep(0.05)

    def preempt(self):
        """As at a preemption or before the time limit: the batch shell gets USR1."""
        self.cluster.run("scancel", "--batch", "--signal=USR1", self.id)
