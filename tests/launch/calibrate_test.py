#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""calibrate_test.py LOCKSTEP MPIRUN: `calibrate`, alone and under mpirun. No test looks at a time."""
import json
import os
import subprocess
import sys
import tempfile
import unittest

LOCKSTEP, MPIRUN = sys.argv[1:3]
BRIEF = ("calibrate", "--quick", "--seconds", "0.1")


def run(*args, ranks=None):
    command = [LOCKSTEP, *args] if ranks is None else [MPIRUN, str(ranks), LOCKSTEP, *args]
    return subprocess.run(command, capture_output=True, text=True, timeout=240)


class Calibrate(unittest.TestCase):
    def setUp(self):
        self.folder = tempfile.TemporaryDirectory()
        self.addCleanup(self.folder.cleanup)
        self.profile = os.path.join(self.folder.name, "here.toml")

    def refuse(self, *args):
        done = run("calibrate", *args)
        self.assertEqual((done.returncode, done.stdout), (2, ""), args)
        lines = [line for line in done.stderr.splitlines() if line.startswith("lockstep:")]
        self.assertEqual(len(lines), 1, done.stderr)
        return lines[0]

    def test_ranks_write_a_profile_and_a_summary(self):
        done = run(*BRIEF, "-o", self.profile, ranks=2)
        self.assertEqual(done.returncode, 0, done.stderr)
        for part in ("2 ranks on 1 node", "linear_forward", "messages inside a node", "o_send", "all_reduce, plain",
                     "far out", self.profile, "plot"):
            self.assertIn(part, done.stdout)
        with open(self.profile) as file:
            text = file.read()
        for part in ("[machine]", "calibrated = true", "[[compute]]", "[[compute.gemm]]", "[[link]]", "[shared]",
                     "[[collective]]", 'label = "mpi"', "[overlap]"):
            self.assertIn(part, text)

    def test_alone_it_measures_what_a_rank_computes(self):
        done = run(*BRIEF, "-o", self.profile, "--json")
        self.assertEqual(done.returncode, 0, done.stderr)
        found = json.loads(done.stdout)
        self.assertEqual((found["ranks"], found["links"], found["collective_curves"]), (1, [], 0))
        self.assertEqual(found["profile"], self.profile)
        self.assertGreater(found["peak_flops"], 1e6)
        self.assertGreaterEqual(found["samples"], found["measurements"])
        self.assertIn("mpirun -np 2", done.stderr)
        with open(self.profile) as file:
            self.assertNotIn("[[link]]", file.read())

    def test_bad_input_is_one_line_before_anything_is_measured(self):
        self.assertIn("No such file or directory", self.refuse("-o", os.path.join(self.folder.name, "none", "m.toml")))
        self.assertIn("Is a directory", self.refuse("-o", self.folder.name))
        self.assertIn("--seconds", self.refuse("--seconds", "0"))
        self.assertIn("--slow", self.refuse("--slow"))


if __name__ == "__main__":
    unittest.main(argv=sys.argv[:1])
