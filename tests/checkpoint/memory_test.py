#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Copies of checkpoints in memory: ranks that are lost and nodes whose memory is lost, what is left at the end, and
what cannot be kept.

memory_test.py LOCKSTEP MPIRUN      MPIRUN is tests/support/mpirun: MPIRUN RANKS COMMAND...
Nodes are those of mpirun_on_nodes beside it: names of their own on this machine, so each has a folder of its own.
"""

import json
import pathlib
import shutil
import socket
import subprocess
import sys
import tempfile
import unittest

from small_job import write_job

LOCKSTEP, MPIRUN = sys.argv[1:3]
ON_NODES = str(pathlib.Path(MPIRUN).with_name("mpirun_on_nodes"))
LIMIT = 60  # seconds for one run: a hang is a failure
STEPS = 12


class Memory(unittest.TestCase):
    def setUp(self):
        self.folder = tempfile.TemporaryDirectory()
        self.addCleanup(self.folder.cleanup)
        self.dir = pathlib.Path(self.folder.name)
        self.memory, self.run_dir = self.dir / "memory", self.dir / "run"
        self.memory.mkdir()
        write_job(self.dir / "job.toml", steps=STEPS, evaluate_every=3, job=f'run_dir = "{self.run_dir}"',
                  checkpoint=f'every = 4\nasync = false\nmemory_every = 3\nmemory_path = "{self.memory}"')

    def train(self, *sets, start=(), arguments=(), inject=(), expect=0):
        sets = [f"faults.inject={json.dumps(list(inject))}", *sets]
        command = [*start, LOCKSTEP, "train", str(self.dir / "job.toml"), *arguments,
                   *(word for item in sets for word in ("--set", item))]
        result = subprocess.run(command, capture_output=True, text=True, cwd=self.dir, stdin=subprocess.DEVNULL,
                                timeout=LIMIT)
        if result.returncode == 77:
            self.skipTest(result.stderr)
        if expect is None:
            self.assertNotEqual(result.returncode, 0, result.stderr)
        else:
            self.assertEqual(result.returncode, expect, result.stderr)
        return result.stderr

    def undisturbed(self, *sets, start):
        """Its values; what it left is taken away."""
        self.train(*sets, start=start)
        values = self.values()
        shutil.rmtree(self.run_dir)
        return values

    def values(self):
        lines = map(json.loads, (self.run_dir / "metrics.jsonl").read_text().splitlines())
        return [(m["step"], m.get("loss"), m.get("grad_norm"), m.get("validation_loss")) for m in lines]

    def left(self):
        """What there is in memory."""
        return sorted(p.name for p in self.memory.iterdir())

    def expect_clean(self):
        self.assertEqual(self.left(), [])
        self.assertFalse((self.run_dir / "memory.json").exists())

    # ---- one node

    def test_a_lost_rank_and_a_lost_job_go_on_from_memory(self):
        supervise = ["--ranks", "2", "--restarts", "2", "--launcher", f"{MPIRUN} {{ranks}}"]
        faults = ["kill rank 1 step 8", "kill rank 0 step 11 life 1", "kill rank 1 step 11 life 1"]
        expected = self.undisturbed("parallel.zero=3", start=[MPIRUN, "2"])
        said = self.train("parallel.zero=3", arguments=supervise, inject=faults)
        for step in (6, 9):
            self.assertIn(f"continued from the copies in memory of step {step}", said)
        self.assertEqual(self.values(), expected)
        self.expect_clean()

    def test_the_disk_where_it_is_newer_and_fewer_ranks(self):
        self.train("parallel.zero=1", start=[MPIRUN, "2"], inject=["kill rank 1 step 8"], expect=None)
        self.assertEqual(len(self.left()), 1)
        said = self.train("parallel.zero=1", arguments=["--resume"])  # 6 of memory, 4 of the disk, on one rank
        self.assertIn("continued from the copies in memory of step 6", said)
        self.expect_clean()
        shutil.rmtree(self.run_dir)
        self.train(inject=["kill rank 0 step 9"], expect=None)
        self.assertEqual(len(self.left()), 1)
        self.assertRegex(self.train(arguments=["--resume"]), "continued from .*step-00000008")
        self.expect_clean()

    # ---- two nodes

    def test_lost_memory_comes_from_the_other_node(self):
        start = [ON_NODES, "1+1"]
        expected = self.undisturbed(start=start)
        self.expect_clean()
        self.train(start=start, inject=["kill rank 0 step 11"], expect=None)
        first, second = self.left()
        self.assertTrue(first.endswith("@n0") and second.endswith("@n1"), self.left())
        for node in (first, second):
            shards = sorted(p.name for p in (self.memory / node / "step-00000009").iterdir())
            self.assertEqual(shards, ["manifest.json", "shard-00000.safetensors", "shard-00001.safetensors"])
        shutil.copytree(self.run_dir, self.dir / "kept/run")
        shutil.copytree(self.memory, self.dir / "kept/memory")

        def lose(node):
            shutil.rmtree(self.memory / node)

        def damage(node, shard=0):
            path = self.memory / node / f"step-00000009/shard-0000{shard}.safetensors"
            data = bytearray(path.read_bytes())
            data[-3] ^= 4
            path.write_bytes(data)

        fetched, memory = "came from the memory of other nodes", "continued from the copies in memory of step 9"
        disk = "continued from .*run/checkpoints/step-00000008"
        cases = {
            "n0 lost": (lambda: lose(first), [fetched, memory]),
            "a shard damaged": (lambda: damage(first), ["refused: .*shard-00000.*damaged", fetched, memory]),
            "one damaged twice": (lambda: (damage(first), damage(second)), ["shard 0 of step 9 is on no node", disk]),
            "both lost": (lambda: (lose(first), lose(second)), ["copies in memory are not complete: there are none", disk]),
        }
        for name, (strike, words) in cases.items():
            with self.subTest(name):
                for place in (self.run_dir, self.memory):
                    shutil.rmtree(place)
                    shutil.copytree(self.dir / "kept" / place.name, place)
                strike()
                said = self.train(start=start, arguments=["--resume"])
                for word in words:
                    self.assertRegex(said, word)
                self.assertEqual(self.values(), expected)
                self.expect_clean()

    # ---- what stays, and what cannot be kept

    def test_what_others_left_is_taken_away_but_not_what_is_in_use(self):
        here = socket.gethostname()
        for name, run in (("gone", "no-run"), ("old", "other"), ("used", "other")):
            folder = self.memory / f"lockstep-{name}@{here}"
            folder.mkdir()
            (folder / "run").write_text(str(self.dir / run))
        (self.memory / f"lockstep-away@{here}x").mkdir()
        (self.dir / "other").mkdir()
        (self.dir / "other/memory.json").write_text('{"copies": "lockstep-used"}')
        said = self.train("job.steps=3")
        for name in ("gone", "old"):
            self.assertRegex(said, rf"lockstep-{name}@.* was left in memory by .*: taken away")
        self.assertEqual(self.left(), [f"lockstep-away@{here}x", f"lockstep-used@{here}"])

    def test_a_job_without_copies_ends_those_of_the_former_life(self):
        self.train(inject=["kill rank 0 step 11"], expect=None)
        self.assertEqual(len(self.left()), 1)
        said = self.train("checkpoint.memory_every=0", arguments=["--resume"])
        self.assertRegex(said, "continued from .*step-00000008")
        self.assertFalse((self.run_dir / "memory.json").exists())
        shutil.rmtree(self.run_dir)
        self.assertRegex(self.train("job.steps=3"), "left in memory by .*run: taken away")
        self.expect_clean()

    def test_training_goes_on_where_there_is_no_room(self):
        mount = ["unshare", "--mount", "--map-root-user", "sh", "-c", 'mount -t tmpfs -o size=32k none "$0" && exec "$@"',
                 str(self.memory)]
        if subprocess.run([*mount[:3], "true"], capture_output=True).returncode != 0:
            self.skipTest("no mount namespaces here")
        said = self.train(start=mount)
        self.assertEqual(said.count("no copies in memory: "), 1, said)
        self.assertIn("of the disk are free", said)
        self.assertTrue((self.run_dir / "checkpoints/step-00000012").exists())

    def test_mistakes(self):
        for sets, words in ((["checkpoint.every=0"], "set checkpoint.every as well"),
                            (['checkpoint.memory_path="/no/such/place"'], "checkpoint.memory_path: cannot make /no/such/place")):
            with self.subTest(sets=sets):
                said = self.train(*sets, expect=2)
                self.assertIn(words, said)
                self.assertEqual(said.count("lockstep: "), 1, said)


if __name__ == "__main__":
    unittest.main(argv=sys.argv[:1] + sys.argv[3:])
