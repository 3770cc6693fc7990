#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""tests/gpu/run where there is no GPU to be seen: a table in which every row says why it was skipped.
And tests/gpu/bundle: what it packs runs elsewhere.

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
        done = self.call(HERE / "run", "--json", self.dir / "results.json", "--bundle", self.dir / "none")
        self.assertEqual(done.returncode, 0, done.stderr)
        rows = json.loads((self.dir / "results.json").read_text())["rows"]
        self.assertGreater(len(rows), 8)
        for row in rows:
            self.assertEqual(row["status"], "skipped", row)
            self.assertIn("no GPU here: ", row["said"])
            self.assertIn(row["name"], done.stdout)
        self.assertIn(f"{len(rows)} skipped", done.stdout)

    def test_rows_can_be_chosen(self):
        done = self.call(HERE / "run", "--only", "two-ranks", "--json", self.dir / "results.json")
        self.assertEqual([row["name"] for row in json.loads((self.dir / "results.json").read_text())["rows"]],
                         ["two-ranks: one GPU through mpi"], done.stderr)

    def test_a_bundle_runs_elsewhere(self):
        done = self.call(HERE / "bundle", "--build", BUILD, "-o", self.dir / "b.tar.gz", "--check")
        if "no Open MPI here" in done.stderr:
            self.skipTest(done.stderr)
        self.assertEqual(done.returncode, 0, done.stdout + done.stderr)
        self.assertIn("runs unpacked elsewhere", done.stdout)


if __name__ == "__main__":
    unittest.main(argv=sys.argv[:1])
