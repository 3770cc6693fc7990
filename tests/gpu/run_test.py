#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""tests/gpu/run where there is no GPU to be seen: a table in which every row says why it was skipped. All its rows
on the emulated GPU (tests/testbed/cuda), with tools that only seem to be there (fakes/). And tests/gpu/bundle: what
it packs runs elsewhere.

run_test.py BUILD
"""

import json
import os
import pathlib
import subprocess
import sys
import tempfile
import unittest

HERE = pathlib.Path(__file__).resolve().parent
ROOT = HERE.parents[1]
BUILD = sys.argv[1]


class WithoutGpu(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.dir = pathlib.Path(folder.name)

    def call(self, *command):
        return subprocess.run(list(map(str, command)), capture_output=True, text=True, timeout=250,
                              env=os.environ | dict(CUDA_VISIBLE_DEVICES=""))

    def test_every_row_is_skipped_and_says_why(self):
        done = self.call(HERE / "run", "--json", self.dir / "results.json", "--results", self.dir / "out",
                         "--bundle", self.dir / "none")
        self.assertEqual(done.returncode, 0, done.stderr)
        rows = json.loads((self.dir / "results.json").read_text())["rows"]
        self.assertGreater(len(rows), 8)
        for row in rows:
            self.assertEqual(row["status"], "skipped", row)
            self.assertIn("no GPU here: ", row["said"])
            self.assertIn(row["name"], done.stdout)
        self.assertIn(f"{len(rows)} skipped", done.stdout)

    def test_rows_can_be_chosen(self):
        done = self.call(HERE / "run", "--only", "two-ranks", "--json", self.dir / "results.json",
                         "--results", self.dir / "out")
        self.assertEqual([row["name"] for row in json.loads((self.dir / "results.json").read_text())["rows"]],
                         ["two-ranks: one GPU through mpi"], done.stderr)

    def test_a_bundle_runs_elsewhere(self):
        done = self.call(HERE / "bundle", "--build", BUILD, "-o", self.dir / "b.tar.gz", "--check")
        if "no Open MPI here" in done.stderr:
            self.skipTest(done.stderr)
        self.assertEqual(done.returncode, 0, done.stdout + done.stderr)
        self.assertIn("runs unpacked elsewhere", done.stdout)


EMULATED = pathlib.Path(BUILD).resolve() / "tests/testbed/cuda"
# But for calibrate, whose products keep a GPU busy: calibrate --device cuda --quick -o FILE.
LOCKSTEP = f"""#!/bin/sh
test "$1" != calibrate || exec cp {ROOT}/perfmodels/machines/h100.toml "$6"
exec emulated "$@"
"""


@unittest.skipUnless((EMULATED / "lockstep_emulated").exists(), "there is no emulated GPU in this build")
class Emulated(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.dir = pathlib.Path(folder.name)
        self.make_bundle()
        (self.dir / "data").mkdir()
        (self.dir / "data/text").write_text("\n".join(f"{i * i % 97} is what {i} makes" for i in range(400)))

    def make_bundle(self):
        """As tests/gpu/bundle has it, of programs that are linked with the emulated GPU."""
        programs = self.dir / "bundle/bin"
        programs.mkdir(parents=True)
        for name, emulated in dict(emulated="lockstep_emulated", kernels_gpu="cuda_kernels_bench",
                                   kernels_test="cuda_emulator_test").items():
            (programs / name).symlink_to(EMULATED / emulated)
        (programs / "lockstep").write_text(LOCKSTEP)
        (programs / "lockstep").chmod(0o755)
        run = self.dir / "bundle/run"
        run.write_text(f'#!/bin/sh\nPATH="$(dirname "$0")/bin:$PATH" LD_LIBRARY_PATH="{EMULATED}/lib" exec "$@"\n')
        run.chmod(0o755)
        test = dict(name="kernels_test", program="kernels_test", arguments=[], ranks=0)
        (self.dir / "bundle/tests.json").write_text(json.dumps([test]))

    def call(self, *options, **environment):
        fakes = HERE / "fakes"
        begin = [HERE / "run", "--bundle", self.dir / "bundle", "--torch-python", fakes / "python-with-torch", "--quick",
                 "--data", self.dir / "data", "--json", self.dir / "results.json", "--results", self.dir / "out"]
        done = subprocess.run(list(map(str, [*begin, *options])), capture_output=True, text=True, timeout=250,
                              env=os.environ | dict(LOCKSTEP_FAKE_GPU="emulated", PATH=f"{fakes}:{os.environ['PATH']}",
                                                    LD_LIBRARY_PATH=str(EMULATED / "driver")) | environment)
        self.rows = {row["name"]: row for row in json.loads((self.dir / "results.json").read_text())["rows"]}
        return done

    def test_every_kind_of_row_runs(self):
        twice = ("train: GPU against CPU, float32", "train: GPU against PyTorch, float32", "speed: GPT-2 350M against PyTorch")
        listed = [name for name in self.list() if name not in twice]
        only = [word for name in listed for word in ("--only", name)]
        done = self.call(*only, LOCKSTEP_FAKE_COMPILE="fails")
        self.assertEqual(list(self.rows), listed)
        for name, row in self.rows.items():
            self.assertEqual(row["status"], "passed", f"{name}: {row['said']}")
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertIn("0 errors", self.rows["compute-sanitizer memcheck"]["said"])
        speed = self.rows["speed: GPT-2 124M against PyTorch"]
        self.assertIn(" of eager, compile failed: InductorError", speed["said"])
        self.assertTrue(all(speed["figures"][name] > 0 for name in ("lockstep", "same bits", "own attention", "eager")))
        self.assertGreater(len(self.rows["kernels: shares of the GPU"]["figures"]["kernels"]), 40)
        self.assertIn("predicted", self.rows["calibrate and predict"]["said"])
        self.assertIn("train", (self.dir / "out/two-ranks-one-GPU-through-mpi.txt").read_text())
        self.assertEqual(json.loads((self.dir / "out/gpu-results.json").read_text())["machine"]["gpus"], ["emulated"])

        kept = self.rows
        self.call("--continue", *only)
        self.assertEqual(self.rows.keys(), kept.keys())
        self.assertEqual([name for name in kept if self.rows[name]["seconds"] != kept[name]["seconds"]], [])

    def list(self):
        done = subprocess.run([HERE / "run", "--bundle", self.dir / "bundle", "--list"], capture_output=True, text=True,
                              check=True)
        return done.stdout.splitlines()

    def test_a_row_that_is_late_does_not_stop_the_others(self):
        (self.dir / "bundle/run").write_text('#!/bin/sh\necho begun; sleep 60\n')
        done = self.call("--only", "train: GPU against CPU", "--seconds", "8")
        self.assertEqual(done.returncode, 1)
        late, skipped = self.rows.values()
        self.assertEqual((late["status"], skipped["status"], skipped["said"]), ("failed", "skipped", "no time left"))
        self.assertIn("not done when its time was over", late["said"])
        self.assertIn("begun", late["said"])


if __name__ == "__main__":
    unittest.main(argv=sys.argv[:1])
