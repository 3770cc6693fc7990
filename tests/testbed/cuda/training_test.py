#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""The program itself with an emulated GPU: training there gives the losses of the CPU.

training_test.py LOCKSTEP MPIRUN      LOCKSTEP is linked with tests/testbed/cuda
"""

import json
import os
import pathlib
import shutil
import subprocess
import sys
import tempfile
import unittest

LOCKSTEP, MPIRUN = sys.argv[1:3]
LIMIT = 120  # seconds for one run: a hang is a failure

JOB = """
[job]
steps = 3
run_dir = "run"
seed = 3
[model]
layers = 2
hidden = 16
heads = 4
sequence = 12
[data]
path = ["text"]
[batch]
global = 4
micro = 2
[optimizer]
learning_rate = 0.01
"""
# Largest difference of a loss, relative: sums in another order; 8 bits of mantissa.
FLOAT32, BFLOAT16 = 2e-5, 2e-2


class Training(unittest.TestCase):
    def setUp(self):
        self.folder = tempfile.TemporaryDirectory()
        self.addCleanup(self.folder.cleanup)
        self.dir = pathlib.Path(self.folder.name)
        words = [f"{i * i % 97} is what {i} makes" for i in range(400)]
        (self.dir / "text").write_text("\n".join(words))
        (self.dir / "job.toml").write_text(JOB)
        self.runs = 0

    def run_job(self, *sets, ranks=1, resume=False, environment=None):
        start = [MPIRUN, str(ranks)] if ranks > 1 else []
        words = [w for s in (*sets, f"job.run_dir=run{self.runs}") for w in ("--set", s)] + ["--resume"] * resume
        self.runs += 1
        return subprocess.run([*start, LOCKSTEP, "train", "job.toml", *words], capture_output=True, text=True,
                              cwd=self.dir, stdin=subprocess.DEVNULL, timeout=LIMIT,
                              env={**os.environ, **(environment or {})})

    def metrics(self, *sets, **how):
        result = self.run_job(*sets, **how)
        self.assertEqual(result.returncode, 0, result.stderr)
        self.said = result.stderr
        lines = (self.dir / f"run{self.runs - 1}/metrics.jsonl").read_text().splitlines()
        return [json.loads(line) for line in lines]

    def losses(self, *sets, **how):
        lines = self.metrics(*sets, **how)
        accuracy = lines[-1]["validation_accuracy"]  # of few tokens: near ties fall either way
        self.assertTrue(0 < accuracy < 1, accuracy)
        return [m.get("loss", m.get("validation_loss")) for m in lines]

    def assert_close(self, got, wanted, tolerance, what):
        self.assertEqual(len(got), len(wanted))
        for step, (a, b) in enumerate(zip(got, wanted), 1):
            self.assertLess(abs(a - b), tolerance * abs(b), f"{what}, step {step}: {a} instead of {b}")

    def test_every_model_has_the_losses_of_the_cpu(self):
        for model in (["model.kind=gpt", "model.dropout=0.1"],
                      ["model.kind=llama", "model.kv_heads=2", "model.tied=false"]):
            wanted = self.losses(*model, "job.device=cpu")
            self.assertLess(wanted[-1], wanted[0])
            exact = self.losses(*model, "job.device=cuda")
            self.assert_close(exact, wanted, FLOAT32, f"{model} in float32")
            half = self.losses(*model, "job.device=cuda", "job.precision=bfloat16")
            self.assert_close(half, wanted, BFLOAT16, f"{model} in bfloat16")
            self.assertNotEqual(half, exact)

    def test_attention_of_the_library(self):
        """cuDNN's forward pass where it is there (here: its graphs, carried out), its backward pass where bits may
        differ."""
        sets = ["job.device=cuda", "job.precision=bfloat16", "model.sequence=64", "model.heads=2", "model.layers=1",
                "job.steps=2", "job.evaluate_batches=1", "batch.global=1", "batch.micro=1"]
        own = self.losses(*sets, "job.attention=own")
        forward, both = self.losses(*sets), self.losses(*sets, "job.determinism=fast")
        self.assert_close(forward, own, BFLOAT16, "cuDNN forward")
        self.assert_close(both, own, BFLOAT16, "cuDNN")
        self.assertEqual(len({tuple(own), tuple(forward), tuple(both)}), 3)
        self.assertIn("; attention: cuDNN ", self.said)

    def test_two_ranks_that_share_the_gpu_have_the_curve_of_one(self):
        wanted = self.losses("job.device=cpu")
        for layout, precision, tolerance in (
                (["parallel.data=2"], "float32", FLOAT32),
                (["parallel.data=2", "parallel.zero=3"], "bfloat16", BFLOAT16),
                (["parallel.tensor=2", "parallel.sequence_parallel=true"], "bfloat16", BFLOAT16),
                (["parallel.pipeline=2"], "bfloat16", BFLOAT16)):
            got = self.losses(*layout, "job.device=cuda", "job.ranks_per_gpu=2", "collectives.backend=mpi",
                              f"job.precision={precision}", ranks=2)
            self.assert_close(got, wanted, tolerance, f"{layout} in {precision}")

    def test_a_driver_or_a_gpu_that_is_too_old(self):
        for environment, key, text in (
                ({"LOCKSTEP_EMULATED_DRIVER": "11080"}, "job.device=cuda",
                 r'job.device = "cuda": the NVIDIA driver serves CUDA 11.8, but this program was built with CUDA \d+\.\d+: '
                 r'update the driver, or build with a toolkit that is not newer'),
                ({"LOCKSTEP_EMULATED_CAPABILITY": "7"}, "job.precision=bfloat16",
                 r'job.precision = "bfloat16": emulated has compute capability 7.0, and bfloat16 needs 8.0; use float32')):
            for ranks in (1, 2):
                with self.subTest(text, ranks=ranks):
                    result = self.run_job("job.device=cuda", "job.ranks_per_gpu=2", key, ranks=ranks,
                                          environment=environment)
                    self.assertEqual(result.returncode, 2, result.stderr)
                    said = [line for line in result.stderr.splitlines() if "lockstep:" in line]
                    self.assertEqual(len(said), 1, result.stderr)
                    self.assertRegex(said[0], f"^lockstep: {text}$")
        self.metrics("job.device=cuda", environment={"LOCKSTEP_EMULATED_CAPABILITY": "7"})  # in float32

    def test_ranks_share_a_gpu_only_where_they_may(self):
        result = self.run_job("job.device=cuda", ranks=2)
        self.assertNotEqual(result.returncode, 0)
        self.assertEqual([line for line in result.stderr.splitlines() if "lockstep:" in line],
                         ['lockstep: job.device = "cuda": 2 ranks of a node would share one GPU; start as many '
                          'ranks as there are GPUs, or allow it: job.ranks_per_gpu = 2'])
        result = self.run_job("job.device=auto", ranks=2)
        self.assertEqual(result.returncode, 0, result.stderr)
        self.assertIn('job.device = "auto" computes on CPUs', result.stderr)

    def test_compressed_gradients_have_the_curve_of_the_cpu_and_go_on_from_a_checkpoint(self):
        """compressed_training_test.cpp has the other methods."""
        sets = ["collectives.compression=powersgd", "collectives.backend=mpi", "parallel.data=2", "model.layers=1",
                "job.evaluate_batches=1", "checkpoint.every=2"]
        wanted = self.losses(*sets, "job.device=cpu", ranks=2)
        sets += ["job.device=cuda", "job.ranks_per_gpu=2"]
        whole = self.losses(*sets, ranks=2)
        self.assert_close(whole, wanted, FLOAT32, "powersgd on the GPU")
        shutil.copytree(self.dir / "run1", self.dir / "run2")
        shutil.rmtree(self.dir / "run2/checkpoints/step-00000003")
        self.assertEqual(self.losses(*sets, ranks=2, resume=True), whole)
        self.assertIn("continued from", self.said)
        self.assertNotIn("starts anew", self.said)

    def test_the_trace_has_the_times_of_the_gpu(self):
        self.metrics("job.device=cuda", "job.trace_steps=2")
        trace = json.loads((self.dir / "run0/trace.json").read_text())
        events = [e for e in trace["traceEvents"] if e.get("ph") == "X"]
        self.assertIn("attention_forward", {e["name"] for e in events})
        self.assertTrue(all(e["dur"] >= 0 and e["ts"] >= 0 for e in events))
        self.assertGreater(max(e["ts"] for e in events), 0)


if __name__ == "__main__":
    unittest.main(argv=sys.argv[:1])
