#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""What `lockstep` says about GPUs where there are none, or none are to be seen.

gpu_test.py LOCKSTEP MPIRUN      MPIRUN is tests/support/mpirun: MPIRUN RANKS COMMAND...
"""

import json
import os
import pathlib
import subprocess
import sys
import tempfile
import unittest

LOCKSTEP, MPIRUN = sys.argv[1:3]
LIMIT = 60  # seconds for one run: a hang is a failure
USER_ERROR = 2
ENVIRONMENT = {**os.environ, "CUDA_VISIBLE_DEVICES": ""}

JOB = """
[job]
steps = 2
[model]
layers = 1
hidden = 16
heads = 2
sequence = 16
[data]
path = ["text"]
[batch]
global = 2
"""


class WithoutGpu(unittest.TestCase):
    def setUp(self):
        self.folder = tempfile.TemporaryDirectory()
        self.addCleanup(self.folder.cleanup)
        self.dir = pathlib.Path(self.folder.name)
        (self.dir / "text").write_text("some text for a small model\n" * 500)
        (self.dir / "job.toml").write_text(JOB)

    def lockstep(self, *words, ranks=1):
        start = [MPIRUN, str(ranks)] if ranks > 1 else []
        return subprocess.run([*start, LOCKSTEP, *words], capture_output=True, text=True, cwd=self.dir,
                              env=ENVIRONMENT, stdin=subprocess.DEVNULL, timeout=LIMIT)

    def train(self, *sets, ranks=1):
        return self.lockstep("train", "job.toml", *(w for s in sets for w in ("--set", s)), ranks=ranks)

    def one_line(self, result, beginning):
        lines = [line for line in result.stderr.splitlines() if line.startswith("lockstep: ")]
        self.assertEqual(len(lines), 1, result.stderr)
        self.assertTrue(lines[0].startswith("lockstep: " + beginning), lines[0])
        return lines[0]

    def test_the_program_needs_no_library_of_cuda(self):
        needed = subprocess.run(["ldd", LOCKSTEP], capture_output=True, text=True, check=True).stdout
        for library in ("libcuda", "libcublas", "libcudnn", "libnccl"):
            self.assertNotIn(library, needed)

    def test_info_says_what_there_is(self):
        cuda = json.loads(self.lockstep("info", "--json").stdout)["cuda"]
        self.assertEqual((cuda["devices"], cuda["gpus"]), (0, []))
        self.assertTrue(cuda["note"])

    def test_a_job_for_gpus_ends_with_the_reason(self):
        note = json.loads(self.lockstep("info", "--json").stdout)["cuda"]["note"]
        for ranks in (1, 2):
            result = self.train("job.device=cuda", ranks=ranks)
            self.assertEqual(self.one_line(result, 'job.device = "cuda": '),
                             f'lockstep: job.device = "cuda": {note}')
            self.assertNotEqual(result.returncode, 0)
        self.assertEqual(self.train("job.device=cuda").returncode, USER_ERROR)

    def test_auto_trains_on_cpus(self):
        result = self.train("job.device=auto")
        self.assertEqual(result.returncode, 0, result.stderr)

    def test_bfloat16_needs_a_gpu(self):
        cpu = self.train("job.device=cpu", "job.precision=bfloat16")
        self.assertEqual(cpu.returncode, USER_ERROR)
        self.assertIn('job.device is "cpu"; use float32',
                      self.one_line(cpu, 'job.precision = "bfloat16" needs a GPU, and '))
        auto = self.train("job.precision=bfloat16", ranks=2)
        self.one_line(auto, 'job.precision = "bfloat16" needs a GPU, and ')
        self.assertNotEqual(auto.returncode, 0)

    def test_a_calibration_of_gpus_ends_with_the_reason(self):
        result = self.lockstep("calibrate", "--device", "cuda", "--quick")
        self.assertEqual(result.returncode, USER_ERROR)
        self.one_line(result, 'job.device = "cuda": ')
        self.assertFalse((self.dir / "machine.toml").exists())


if __name__ == "__main__":
    unittest.main(argv=sys.argv[:1])
