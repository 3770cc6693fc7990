#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""The lint must find two types of one name, and nothing else."""

import subprocess
import sys
import tempfile
import unittest
from pathlib import Path

HERE = Path(__file__).parent
UNNAMED = "namespace lockstep {\nnamespace {\n\nstruct Piece {\n};\n\n}  // namespace\n}  // namespace lockstep\n"
NAMED = "namespace lockstep {\n\nclass Piece final : public Part {\n};\n\n}  // namespace lockstep\n"


class Lint(unittest.TestCase):
    def lint(self, files):
        with tempfile.TemporaryDirectory() as folder:
            for path, text in files.items():
                (Path(folder) / path).parent.mkdir(parents=True, exist_ok=True)
                (Path(folder) / path).write_text(text)
            done = subprocess.run([sys.executable, HERE / "names.py", folder], capture_output=True, text=True)
        self.assertEqual(done.stderr, "")
        self.assertEqual(done.returncode, 1 if done.stdout else 0)
        return done.stdout.splitlines()

    def test_one_name_twice(self):
        self.assertEqual(self.lint({"runtime/a.hpp": NAMED, "launch/b.cpp": NAMED}), [
            "launch/b.cpp:3: lockstep::Piece is also defined in runtime/a.hpp:3: the linker takes both for one"])

    def test_what_is_apart(self):
        inner = NAMED.replace("lockstep {", "lockstep::slurm {")
        forward = NAMED.replace(" final : public Part {\n}", "")
        self.assertEqual(self.lint({"runtime/a.hpp": NAMED, "launch/b.cpp": UNNAMED, "launch/c.cu": UNNAMED,
                                    "slurm/d.hpp": inner, "slurm/e.hpp": forward, "tests/f.hpp": NAMED}), [])


if __name__ == "__main__":
    unittest.main()
