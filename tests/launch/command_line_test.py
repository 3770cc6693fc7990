#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""command_line_test.py LOCKSTEP MPIRUN: help, version, mistakes, and `info`, alone and under mpirun."""
import json
import subprocess
import sys
import unittest

LOCKSTEP, MPIRUN = sys.argv[1:3]


def run(*args, ranks=None):
    command = [LOCKSTEP, *args] if ranks is None else [MPIRUN, str(ranks), LOCKSTEP, *args]
    return subprocess.run(command, capture_output=True, text=True, timeout=60)


def ours(text):
    return [line for line in text.splitlines() if line.startswith("lockstep:")]


class CommandLine(unittest.TestCase):
    def test_help_and_version_succeed_on_stdout(self):
        for args in (["--help"], ["info", "--help"], ["bench", "--help"], ["explain", "--help"], ["--version"]):
            done = run(*args)
            self.assertEqual((done.returncode, done.stderr), (0, ""), args)
            self.assertTrue(done.stdout)

    def test_help_lists_every_subcommand(self):
        for name in ("bench", "explain", "info", "train"):
            self.assertIn(name, run("--help").stdout)

    def test_mistakes_are_one_line_and_status_2(self):
        cases = {"frobnicate": ["frobnicate"], "--frobnicate": ["info", "--frobnicate"], "subcommand": []}
        for named, args in cases.items():
            done = run(*args)
            self.assertEqual((done.returncode, done.stdout), (2, ""), args)
            self.assertEqual(len(done.stderr.splitlines()), 1, done.stderr)
            self.assertIn(named, done.stderr)

    def test_a_mistake_is_said_once_whatever_the_ranks(self):
        done = run("frobnicate", ranks=3)
        self.assertEqual(done.returncode, 2)
        self.assertEqual(len(ours(done.stderr)), 1, done.stderr)

    def test_output_that_cannot_be_written_is_a_failure(self):
        with open("/dev/full", "w", encoding="utf-8") as full:
            done = subprocess.run([LOCKSTEP, "explain", "all_reduce", "--bytes", "8"], stdout=full,
                                  stderr=subprocess.PIPE, text=True, timeout=60)
        self.assertEqual(done.returncode, 1)
        self.assertIn("cannot write all of the output: No space left", done.stderr)

    def test_numbers_say_what_they_may_be(self):
        for args, allowed in ((["explain", "all_reduce", "--ranks", "0"], "--ranks: '0' must be a whole number from 1"),
                              (["bench", "all_reduce", "--seconds", "nan"], "--seconds: 'nan' must be a number above 0"),
                              (["scaling", "x", "--machine", "cpu", "--efficiency", "nan"], "a number from 0 to 1"),
                              (["predict", "x", "--machine", "cpu", "--ranks", "1e9"], "'1e9' must be a whole number"),
                              (["explain", "all_reduce"], "--bytes is missing")):
            done = run(*args)
            self.assertEqual((done.returncode, done.stdout), (2, ""), args)
            self.assertEqual(len(done.stderr.splitlines()), 1, done.stderr)
            self.assertIn(allowed, done.stderr)

    def test_info_names_what_was_built_in(self):
        text = run("info").stdout
        for part in ("compiler", "GEMM", "MPI", "CUDA", "cores", "memory", "this job: 1 rank on 1 node"):
            self.assertIn(part, text)

    def test_info_as_json_describes_every_rank(self):
        for ranks in (1, 3):
            done = run("info", "--json", ranks=ranks)
            self.assertEqual(done.returncode, 0, done.stderr)
            facts = json.loads(done.stdout)
            self.assertEqual(facts["job"]["ranks"], ranks)
            self.assertEqual([r["rank"] for r in facts["job"]["placement"]], list(range(ranks)))
            self.assertGreater(facts["node"]["memory_bytes"], 2**28)
            self.assertTrue(facts["build"]["version"])


if __name__ == "__main__":
    unittest.main(argv=sys.argv[:1])
