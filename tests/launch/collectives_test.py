#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""collectives_test.py LOCKSTEP MPIRUN: `bench` and `explain`, alone and under mpirun. No test looks at a time."""
import json
import math
import subprocess
import sys
import unittest

LOCKSTEP, MPIRUN = sys.argv[1:3]
COLLECTIVES = ("all_reduce", "reduce_scatter", "all_gather", "broadcast", "reduce", "all_to_all", "gather", "scatter",
               "barrier")
# Fixed: users' scripts read them.
BENCH_NAMES = {"collective", "backend", "algorithm", "ranks", "bytes", "median_seconds", "p99_seconds", "algbw",
               "busbw", "predicted_seconds", "memory"}


def run(*args, ranks=None):
    command = [LOCKSTEP, *args] if ranks is None else [MPIRUN, str(ranks), LOCKSTEP, *args]
    return subprocess.run(command, capture_output=True, text=True, timeout=120)


class Collectives(unittest.TestCase):
    def succeed(self, *args, ranks=None):
        done = run(*args, ranks=ranks)
        self.assertEqual(done.returncode, 0, done.stderr)
        return done.stdout

    def rows(self, *args, ranks):
        return json.loads(self.succeed("bench", *args, "--json", "--repetitions", "3", ranks=ranks))

    def refuse(self, *args, ranks=None):
        """One line of ours, status 2, nothing on stdout; returns the line."""
        done = run(*args, ranks=ranks)
        self.assertEqual((done.returncode, done.stdout), (2, ""), args)
        lines = [line for line in done.stderr.splitlines() if line.startswith("lockstep:")]
        self.assertEqual(len(lines), 1, done.stderr)
        return lines[0]

    def test_bench_writes_the_fixed_names(self):
        rows = self.rows("all_reduce", "--sizes", "8:2K", "--factor", "16", ranks=2)
        self.assertEqual(sorted({r["bytes"] for r in rows}), [8, 128, 2048])
        for r in rows:
            self.assertLessEqual(BENCH_NAMES, set(r))
            self.assertEqual((r["collective"], r["ranks"]), ("all_reduce", 2))
            self.assertGreater(r["median_seconds"], 0)
            self.assertGreaterEqual(r["p99_seconds"], r["median_seconds"])
            self.assertTrue(math.isclose(r["algbw"], r["bytes"] / r["median_seconds"]))
            self.assertTrue(math.isclose(r["busbw"], r["algbw"]))  # 2 (p-1) / p = 1
            self.assertGreater(r["predicted_seconds"], 0)
        self.assertEqual({r["backend"] for r in rows}, {"auto", "native", "mpi"})
        self.assertIn("ring", {r["algorithm"] for r in rows if r["backend"] == "native"})

    def test_every_collective_is_right_and_has_a_row_of_auto(self):
        for what in COLLECTIVES:
            for place in ("--in-place", "--out-of-place"):
                rows = self.rows(what, "--sizes", "64", place, "--built-in", ranks=3)
                self.assertTrue([r for r in rows if r["backend"] == "auto"], what)

    def test_prices_of_a_machine(self):
        text = self.succeed("explain", "all_reduce", "--bytes", "64M", "--ranks", "16", "--machine", "a100")
        self.assertIn("16 ranks on 2 nodes", text)
        self.assertIn("replay", text)
        found = json.loads(self.succeed("explain", "all_reduce", "--bytes", "1M", "--ranks", "256", "--machine",
                                        "a100", "--json"))
        self.assertEqual(found["nodes"], 32)
        self.assertTrue(all(c["by"].startswith("replay of fewer") for c in found["candidates"] if c["backend"] == "native"))
        self.assertIn("nccl", {c["backend"] for c in found["candidates"]})
        self.assertEqual(found["chosen"], "nccl")  # as on all GPUs
        self.assertEqual(found["constants"]["across.beta"]["source"], "profile")
        rows = self.rows("all_reduce", "--sizes", "1M", "--machine", "a100", ranks=2)
        self.assertTrue(all(r["predicted_seconds"] for r in rows if r["algorithm"] == "ring"))
        self.assertIn("a100", self.refuse("explain", "all_reduce", "--bytes", "1M", "--machine", "nowhere"))
        self.assertIn("exclude", self.refuse("bench", "all_reduce", "--machine", "a100", "--built-in", ranks=2))

    def test_types_operations_and_groups(self):
        rows = self.rows("all_reduce", "--sizes", "1K", "--dtype", "bfloat16", "--op", "max", "--groups", "2", ranks=4)
        self.assertEqual({(r["ranks"], r["dtype"], r["op"], r["groups"]) for r in rows}, {(2, "bfloat16", "max", 2)})
        rows = self.rows("all_reduce", "--sizes", "64", "--dtype", "int64", "--op", "product", "--memory", "plain",
                         ranks=3)
        self.assertEqual({r["memory"] for r in rows}, {"plain"})

    def test_bench_takes_the_named_candidates_only(self):
        rows = self.rows("all_reduce", "--sizes", "64", "--backend", "native,mpi", "--algorithm", "ring", ranks=2)
        self.assertEqual({(r["backend"], r["algorithm"]) for r in rows}, {("native", "ring"), ("mpi", "")})

    def test_built_in_constants_leave_the_library_without_a_price(self):
        rows = self.rows("all_reduce", "--sizes", "64", "--built-in", ranks=2)
        priced = {r["backend"]: r["predicted_seconds"] is not None for r in rows}
        self.assertEqual(priced, {"native": True, "auto": True, "mpi": False})

    def test_the_table_ends_with_how_close_auto_is(self):
        text = self.succeed("bench", "all_reduce", "--sizes", "64:1M", "--factor", "16384", "--repetitions", "3", ranks=2)
        self.assertIn("auto is within 10 % of the best candidate at", text.splitlines()[-1])
        self.assertIn("native/ring", text)

    def test_bench_alone_is_a_group_of_one(self):
        text = self.succeed("bench", "all_gather", "--sizes", "64", "--repetitions", "2")
        self.assertIn("1 rank on 1 node", text)

    def test_bad_input_of_bench_is_one_line_that_says_what_is_allowed(self):
        cases = [(["all_produce"], "all_reduce"),
                 (["send"], "all_reduce"),
                 (["all_reduce", "--backend", "smoke"], "allowed: auto, native, mpi"),
                 (["all_reduce", "--algorithm", "signals"], "ring"),
                 (["all_reduce", "--sizes", "64K:8"], "LOW:HIGH"),
                 (["all_reduce", "--sizes", "many"], "LOW:HIGH"),
                 (["all_reduce", "--sizes", "2:8"], "4 bytes"),
                 (["all_reduce", "--sizes", "8:"], "LOW:HIGH"),
                 (["all_reduce", "--dtype", "float99"], "bfloat16"),
                 (["all_reduce", "--op", "mean"], "average"),
                 (["all_reduce", "--memory", "cloud"], "shared"),
                 (["all_reduce", "--groups", "2"], "does not divide 3 ranks")]
        for args, part in cases:
            self.assertIn(part, self.refuse("bench", *args, ranks=3), args)
        self.assertIn("--factor", self.refuse("bench", "all_reduce", "--factor", "1"))
        self.assertIn("collective", self.refuse("bench"))

    def test_explain_prices_every_collective_without_ranks(self):
        for what in COLLECTIVES:
            e = json.loads(self.succeed("explain", what, "--bytes", "64K", "--ranks", "6", "--nodes", "2", "--json"))
            self.assertEqual((e["collective"], e["ranks"], e["nodes"]), (what, 6, 2))
            prices = [c["predicted_seconds"] for c in e["candidates"]]
            self.assertEqual(prices, sorted(prices))
            if prices:
                first = e["candidates"][0]
                self.assertEqual(e["chosen"], first["backend"] + "/" + first["algorithm"])
            self.assertIn("mpi", {r["backend"] for r in e["refused"]})  # has no price here
            self.assertEqual({c["source"] for c in e["constants"].values()}, {"default"})

    def test_explain_follows_the_size(self):
        chosen = [json.loads(self.succeed("explain", "all_reduce", "--bytes", n, "--ranks", "8", "--nodes", "8", "--json"))
                  ["chosen"] for n in ("8", "256M")]
        self.assertNotEqual(*chosen)

    def test_explain_says_it_to_people(self):
        text = self.succeed("explain", "all_reduce", "--bytes", "4M", "--ranks", "4")
        for part in ("4194304 bytes", "4 ranks on 1 node", "native/ring", "auto chooses native/", "times as long",
                     "inside.alpha", "default", "mpi"):
            self.assertIn(part, text)

    def test_explain_measures_under_mpirun(self):
        e = json.loads(self.succeed("explain", "all_reduce", "--bytes", "1M", "--measure", "--json", ranks=2))
        self.assertEqual(e["constants"]["inside.alpha"]["source"], "measured")
        self.assertEqual(e["constants"]["across.alpha"]["source"], "default")
        self.assertIn("mpi", {c["backend"] for c in e["candidates"]})

    def test_bad_input_of_explain_is_one_line_that_says_what_is_allowed(self):
        cases = [(["all_produce", "--bytes", "8"], "all_reduce"),
                 (["all_reduce"], "--bytes 1M"),
                 (["all_reduce", "--bytes", "lots"], "K, M or G"),
                 (["all_reduce", "--bytes", "8", "--dtype", "float99"], "bfloat16"),
                 (["all_reduce", "--bytes", "8", "--memory", "both"], "explain takes one"),
                 (["all_reduce", "--bytes", "8", "--ranks", "2", "--nodes", "4"], "more than --ranks 2"),
                 (["all_reduce", "--bytes", "8", "--ranks", "0"], "--ranks"),
                 (["all_reduce", "--bytes", "8", "--measure"], "at least 2 ranks")]
        for args, part in cases:
            self.assertIn(part, self.refuse("explain", *args), args)
        self.assertIn("leave out", self.refuse("explain", "all_reduce", "--bytes", "8", "--ranks", "4", "--measure", ranks=2))


if __name__ == "__main__":
    unittest.main(argv=sys.argv[:1])
