#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Checkpoints as a user meets them: resumed runs, damaged files, signals, two lives of one run, other
models, a full disk, and `lockstep checkpoint`.

resume_test.py LOCKSTEP MPIRUN      MPIRUN is tests/support/mpirun: MPIRUN RANKS COMMAND...
"""

import json
import os
import pathlib
import resource
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import unittest

from small_job import write_job

LOCKSTEP, MPIRUN = sys.argv[1:3]
LIMIT = 60  # seconds for one run: a hang is a failure
STEPS = 8


def crc32c(data):
    """Bit by bit: an implementation of its own."""
    crc = 0xFFFFFFFF
    for byte in data:
        crc ^= byte
        for _ in range(8):
            crc = (crc >> 1) ^ (0x82F63B78 if crc & 1 else 0)
    return crc ^ 0xFFFFFFFF


class Resume(unittest.TestCase):
    def setUp(self):
        self.folder = tempfile.TemporaryDirectory()
        self.addCleanup(self.folder.cleanup)
        self.dir = pathlib.Path(self.folder.name)
        write_job(self.dir / "job.toml", steps=STEPS, evaluate_every=4, checkpoint="every = 2\nkeep = 10")

    def command(self, run, *sets, ranks=1, resume=False):
        start = [MPIRUN, str(ranks)] if ranks > 1 else []
        words = [*start, LOCKSTEP, "train", str(self.dir / "job.toml"), "--set", f'job.run_dir="{self.dir}/{run}"']
        return words + [w for item in sets for w in ("--set", item)] + (["--resume"] if resume else [])

    def train(self, run, *sets, ranks=1, resume=False, expect=0):
        result = subprocess.run(self.command(run, *sets, ranks=ranks, resume=resume), capture_output=True, text=True,
                                cwd=self.dir, stdin=subprocess.DEVNULL, timeout=LIMIT)
        self.assertEqual(result.returncode, expect, result.stderr)
        return result

    def tool(self, *words, expect=0):
        result = subprocess.run([LOCKSTEP, "checkpoint", *map(str, words)], capture_output=True, text=True, timeout=LIMIT)
        self.assertEqual(result.returncode, expect, result.stdout + result.stderr)
        return result.stdout + result.stderr

    def metrics(self, run):
        return [json.loads(line) for line in (self.dir / run / "metrics.jsonl").read_text().splitlines()]

    def losses(self, run):
        """Training and validation losses in the order in which they stand there."""
        return [(m["step"], m.get("loss"), m.get("validation_loss")) for m in self.metrics(run)]

    def checkpoints(self, run):
        return sorted(p.name for p in (self.dir / run / "checkpoints").iterdir())

    def place(self, run, step):
        return self.dir / run / "checkpoints" / f"step-{step:08}"

    def forget_after(self, run, step):
        for place in (self.dir / run / "checkpoints").iterdir():
            if int(place.name[5:]) > step:
                shutil.rmtree(place)

    def flip(self, path, at=-3):
        data = bytearray(path.read_bytes())
        data[at] ^= 4
        path.write_bytes(data)

    def wait_for_steps(self, run, count, process):
        deadline = time.monotonic() + LIMIT
        path = self.dir / run / "metrics.jsonl"
        while not path.exists() or path.read_text().count('"loss"') < count:
            self.assertLess(time.monotonic(), deadline)
            self.assertIsNone(process.poll())
            time.sleep(0.02)

    def expect_once(self, result, words):
        for word in words:
            self.assertIn(word, result.stderr)
        self.assertEqual(len([l for l in result.stderr.splitlines() if l.startswith("lockstep:")]), 1, result.stderr)

    # ---- going on

    def test_a_resumed_run_is_the_undisturbed_one(self):
        for ranks, sets in ((1, []), (2, ["parallel.zero=3"]), (2, ["parallel.pipeline=2", "optimizer.kind=sgd"])):
            with self.subTest(sets=sets):
                self.train("whole", *sets, ranks=ranks)
                self.assertEqual(self.checkpoints("whole"), [f"step-{s:08}" for s in (2, 4, 6, 8)])
                shutil.copytree(self.dir / "whole", self.dir / "again")
                self.forget_after("again", 4)
                result = self.train("again", *sets, ranks=ranks, resume=True)
                self.assertIn("continued from", result.stderr)
                self.assertEqual(self.losses("again"), self.losses("whole"))
                self.assertIn("the same bits", self.tool("diff", self.dir / "again", self.dir / "whole"))
                if ranks == 1:
                    self.assertIn("nothing is left to do", self.train("again", resume=True).stderr)
                    self.assertEqual(self.losses("again"), self.losses("whole"))
                shutil.rmtree(self.dir / "whole")
                shutil.rmtree(self.dir / "again")

    def test_another_layout_goes_on(self):
        self.train("one")
        for ranks, sets in ((2, ["parallel.tensor=2"]), (4, ["parallel.data=2", "parallel.pipeline=2", "parallel.zero=1"])):
            shutil.copytree(self.dir / "one", self.dir / "two")
            self.forget_after("two", 4)
            self.train("two", *sets, ranks=ranks, resume=True)
            for (step, loss, validation), (_, expected, evaluated) in zip(self.losses("two"), self.losses("one"), strict=True):
                self.assertAlmostEqual(loss or validation, expected or evaluated, delta=1e-3, msg=f"step {step}")
            self.assertIn("elements differ, by", self.tool("diff", self.dir / "one", self.dir / "two", expect=1))
            shutil.rmtree(self.dir / "two")

    def test_what_compression_held_back_goes_on(self):
        for method in ("int8", "top_k", "powersgd"):
            sets = [f"collectives.compression={method}", "collectives.compression_rank=2", "job.evaluate_every=0"]
            with self.subTest(method=method):
                self.train("whole", *sets, ranks=2)
                shutil.copytree(self.dir / "whole", self.dir / "again")
                self.forget_after("again", 4)
                result = self.train("again", *sets, ranks=2, resume=True)
                self.assertNotIn("anew", result.stderr)
                self.assertEqual(self.losses("again"), self.losses("whole"))
                self.assertIn("the same bits", self.tool("diff", self.dir / "again", self.dir / "whole"))
                self.tool("verify", self.dir / "again")
                if method == "top_k":  # of another layout
                    for ranks, other in ((4, "job.threads=1"),):
                        self.forget_after("again", 4)
                        result = self.train("again", *sets, other, ranks=ranks, resume=True)
                        self.assertEqual(result.stderr.count("held back of gradients starts anew"), 1, result.stderr)
                shutil.rmtree(self.dir / "whole")
                shutil.rmtree(self.dir / "again")

    def test_a_run_that_reached_its_target_is_done(self):
        sets = ["job.evaluate_every=2", "job.target_loss=100"]
        self.assertIn("target loss 100 reached after step 2", self.train("run", *sets).stderr)
        before = self.metrics("run")
        result = self.train("run", *sets, resume=True)
        self.assertRegex(result.stderr, r"nothing is left to do: target loss 100 was reached after step 2, with \d\.\d+")
        self.assertEqual(self.metrics("run"), before)
        self.train("run", "job.evaluate_every=2", "job.target_loss=0.01", resume=True)  # a lower one is to be reached
        self.assertEqual([m["step"] for m in self.metrics("run") if "loss" in m], list(range(1, STEPS + 1)))

    def test_a_run_that_was_stopped_at_its_target_is_done(self):
        sets = ["job.evaluate_every=2", "job.target_loss=100"]
        inject = 'faults.inject=["terminate rank 0 step 2"]'
        result = self.train("run", *sets, inject, ranks=2, expect=128 + signal.SIGTERM)
        self.assertIn("target loss 100 reached after step 2", result.stderr)
        before = self.metrics("run")
        result = self.train("run", *sets, ranks=2, resume=True)
        self.assertIn("nothing is left to do: target loss 100 was reached after step 2", result.stderr)
        self.assertEqual(self.metrics("run"), before)

    def test_a_damaged_checkpoint_is_refused_and_the_one_before_taken(self):
        self.train("run")
        before = self.losses("run")
        self.forget_after("run", 6)
        self.flip(self.place("run", 6) / "shard-00000.safetensors")
        self.assertIn("damaged", self.tool("verify", self.place("run", 6), expect=2))
        result = self.train("run", resume=True)
        self.assertRegex(result.stderr, "refused: .*step-00000006/shard-00000.safetensors.*damaged")
        self.assertIn(f"continued from {self.place('run', 4)}", result.stderr)
        self.assertEqual(self.losses("run"), before)
        self.tool("verify", self.dir / "run")  # the damaged one was written anew

    def test_a_run_that_ended_without_checkpoints_is_not_begun_anew(self):
        self.train("run", "checkpoint.every=0")
        metrics = (self.dir / "run" / "metrics.jsonl").read_text()
        self.expect_once(self.train("run", "checkpoint.every=0", resume=True, expect=2), ["came to its end", "checkpoint"])
        self.assertEqual((self.dir / "run" / "metrics.jsonl").read_text(), metrics)

    def test_retention_and_a_fresh_start_with_resume(self):
        result = self.train("run", "checkpoint.keep=1", "checkpoint.keep_every=4", "checkpoint.async=false", resume=True)
        self.assertNotIn("continued", result.stderr)
        self.assertEqual(self.checkpoints("run"), ["step-00000004", "step-00000008"])

    def test_a_signal_leaves_a_checkpoint(self):
        process = subprocess.Popen(self.command("run", "job.steps=100000", "checkpoint.every=50000", "job.evaluate_every=0"),
                                   stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        self.wait_for_steps("run", 3, process)
        process.send_signal(signal.SIGTERM)
        self.assertEqual(process.wait(timeout=LIMIT), 128 + signal.SIGTERM)
        last = self.metrics("run")[-1]["step"]
        self.assertEqual(self.checkpoints("run"), [f"step-{last:08}"])
        self.train("run", f"job.steps={last + 2}", "job.evaluate_every=0", resume=True)
        self.assertEqual([m["step"] for m in self.metrics("run") if "loss" in m], list(range(1, last + 3)))

    def test_a_former_life_writes_no_more(self):
        sets = ["job.steps=100000", "checkpoint.every=3", "job.evaluate_every=0"]
        former = subprocess.Popen(self.command("run", *sets), stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
        self.wait_for_steps("run", 7, former)
        now = subprocess.Popen(self.command("run", *sets, resume=True), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        said = former.communicate(timeout=LIMIT)[1]
        self.assertNotEqual(former.returncode, 0)
        self.assertIn("is continued by life 1 of this run", said)
        count = len(self.metrics("run"))
        self.wait_for_steps("run", count + 5, now)
        now.send_signal(signal.SIGTERM)
        self.assertEqual(now.wait(timeout=LIMIT), 128 + signal.SIGTERM)
        steps = [m["step"] for m in self.metrics("run")]
        self.assertEqual(steps, list(range(1, len(steps) + 1)))
        self.tool("verify", self.dir / "run")

    # ---- what is refused

    def test_what_does_not_fit_is_said_once_and_nothing_changes(self):
        self.train("run", "parallel.data=2", ranks=2)
        before = {p: p.read_bytes() for p in (self.dir / "run").rglob("*") if p.is_file()}

        def refused(words, *sets, ranks=1):
            self.expect_once(self.train("run", *sets, ranks=ranks, resume=True, expect=2), words)
            self.assertEqual({p: p.read_bytes() for p in (self.dir / "run").rglob("*") if p.is_file()}, before)

        refused(["blocks.0.attention.out.bias is [16] in the checkpoint, but [32]"], "model.hidden=32", ranks=2)
        refused(["blocks.1.attention.out.bias", "[16]", "does not have"], "model.layers=1")
        refused(["job.seed = 9", "had 1"], "job.seed=9")
        refused(["batch.global = 8", "had 4"], "batch.global=8")
        refused(["optimizer.kind"], "optimizer.kind=sgd")

        manifest = self.place("run", 8) / "manifest.json"
        body = manifest.read_bytes().rpartition(b',"crc32c"')[0].replace(b'"version":1', b'"version":7')
        manifest.write_bytes(body + b',"crc32c":"%08x"}\n' % crc32c(body))
        before[manifest] = manifest.read_bytes()
        refused(["checkpoint format 7, written by lockstep", "use a newer one"])

        for step in (2, 4, 6, 8):
            self.flip(self.place("run", step) / "manifest.json", at=40)
        before.update({p: p.read_bytes() for p in before})
        result = self.train("run", ranks=2, resume=True, expect=2)
        self.assertIn("holds no checkpoint that is whole", result.stderr)

    def test_a_directory_without_a_checkpoint(self):
        (self.dir / "empty/checkpoints/step-00000003").mkdir(parents=True)
        for command in (["inspect"], ["verify"]):
            said = self.tool(*command, self.dir / "empty", expect=2)
            self.assertIn("holds no complete checkpoint", said)
        result = self.train("fresh", f'checkpoint.load="{self.dir}/empty"', expect=2)
        self.expect_once(result, ["manifest.json"])
        self.assertFalse((self.dir / "fresh").exists())

    def test_a_full_disk_ends_the_run_and_spares_what_is_there(self):
        disk = self.dir / "disk"
        disk.mkdir()
        mount = ["unshare", "--mount", "--map-root-user", "sh", "-c",
                 'mount -t tmpfs -o size=512k none "$0" && "$@"; s=$?; ls "$0/run/checkpoints" >&2; exit $s', str(disk)]
        if subprocess.run([*mount[:3], "true"], capture_output=True).returncode != 0:
            self.skipTest("no mount namespaces here")
        for ranks in (1, 2):
            result = subprocess.run([*mount, *self.command("disk/run", "checkpoint.every=1", ranks=ranks)],
                                    capture_output=True, text=True, timeout=LIMIT)
            self.assertNotEqual(result.returncode, 0, result.stderr)
            self.expect_once(result, ["a checkpoint takes", "of the disk are free", "step-00000002"])

    def test_a_write_that_fails_ends_the_run_and_spares_what_is_there(self):
        # Past the limit a write is an error, and no signal. From step 12 on it trains slowly: else, where this test comes
        # late, the metrics would be the first file that is too long.
        slowly = 'faults.inject=["delay rank 0 step 12 steps 100000 seconds 0.4"]'
        process = subprocess.Popen(self.command("run", "job.steps=100000", "job.evaluate_every=0", "checkpoint.every=5", slowly),
                                   stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True,
                                   preexec_fn=lambda: signal.signal(signal.SIGXFSZ, signal.SIG_IGN))
        self.wait_for_steps("run", 11, process)
        resource.prlimit(process.pid, resource.RLIMIT_FSIZE, (20000, 20000))
        said = process.communicate(timeout=LIMIT)[1]
        self.assertEqual(process.returncode, 1, said)
        self.assertRegex(said, "cannot write .*step-000000[0-9]*.partial-0/shard-00000.safetensors: File too large")
        self.assertEqual(said.count("lockstep:"), 1, said)
        self.tool("verify", self.dir / "run")  # what was there still is, and is whole

    def as_nobody(self, *words):
        """Runs a command as a user without privileges: as root writes everywhere."""
        def become():
            if os.geteuid() == 0:
                os.setgroups([])
                os.setgid(65534)
                os.setuid(65534)
        env = dict(os.environ, HOME=str(self.dir), TMPDIR=str(self.dir))
        return subprocess.run(words, capture_output=True, text=True, cwd=self.dir, stdin=subprocess.DEVNULL,
                              timeout=LIMIT, preexec_fn=become, env=env)

    def give_away(self, path):
        if os.geteuid() == 0:
            for p in (path, *path.rglob("*")):
                os.chown(p, 65534, 65534)

    def test_what_this_user_may_not(self):
        self.dir.chmod(0o777)
        try:
            if self.as_nobody(LOCKSTEP, "--version").returncode != 0:
                self.skipTest("another user cannot run the program")
        except (OSError, subprocess.SubprocessError):
            self.skipTest("no other user here")
        for ranks in (1, 2):
            self.train("run", ranks=ranks)
            self.forget_after("run", 6)
            self.give_away(self.dir)
            files = {p: p.read_bytes() for p in (self.dir / "run/checkpoints").rglob("*") if p.is_file()}
            last = self.place("run", 6)
            cases = {
                "checkpoint directory not writable": (self.dir / "run/checkpoints", 0o555,
                                                      r"cannot make .*step-00000008.partial-\d+: Permission denied"),
                "run directory not writable": (self.dir / "run", 0o555, r"cannot make .*run/.*: Permission denied"),
                "shard not readable": (last / "shard-00000.safetensors", 0, r"shard-00000.safetensors: cannot be read .Permission"),
                "manifest not readable": (last / "manifest.json", 0, r"manifest.json: cannot be read .Permission"),
                "checkpoint not readable": (last, 0, r"step-00000006.*: cannot be read .Permission"),
                "checkpoint directory not readable": (self.dir / "run/checkpoints", 0o300, r"checkpoints: cannot be read .Permission"),
            }
            for name, (path, mode, words) in list(cases.items())[:6 if ranks == 1 else 1]:
                with self.subTest(name, ranks=ranks):
                    before = path.stat().st_mode
                    path.chmod(mode)
                    result = self.as_nobody(*self.command("run", ranks=ranks, resume=True))
                    path.chmod(before)
                    self.assertIn(result.returncode, (1, 2), result.stderr)
                    self.assertRegex(result.stderr, words)
                    self.assertEqual(result.stderr.count("lockstep: "), 1, result.stderr)
                    self.assertEqual({p: p.read_bytes() for p in files}, files)
                    self.assertEqual(self.checkpoints("run"), [f"step-{s:08}" for s in (2, 4, 6)])
            shutil.rmtree(self.dir / "run")
        (self.dir / "shut").mkdir(mode=0o555)
        result = self.as_nobody(*self.command("shut/run"))
        self.assertEqual(result.returncode, 2, result.stderr)
        self.expect_once(result, ["job.run_dir: cannot make", "Permission denied"])

    # ---- lockstep checkpoint

    def test_tools(self):
        self.train("run", "parallel.tensor=2", ranks=2)
        last = self.place("run", 8)
        text = self.tool("inspect", self.dir / "run")
        for word in ("step             8", "tensor 2", "first_moment, second_moment, value", "adamw, 8 steps"):
            self.assertIn(word, text)
        facts = json.loads(self.tool("inspect", "--json", self.dir / "run"))
        self.assertEqual(facts["parameters"]["blocks.1.mlp.up.weight"], [64, 16])
        self.assertEqual(facts["next_sample"], 32)
        self.assertEqual(self.tool("verify", self.dir / "run").count("whole"), 4)
        self.tool("convert", last, self.dir / "one", "--to", "lockstep")
        self.assertIn("the same bits", self.tool("diff", last, self.dir / "one"))
        self.assertIn("is there already", self.tool("convert", last, self.dir / "one", "--to", "lockstep", expect=2))

    def test_hugging_face_and_back(self):
        sets = ["model.kind=llama", "model.kv_heads=1", "optimizer.learning_rate=0.01"]
        self.train("run", *sets)
        self.tool("convert", self.dir / "run", self.dir / "hf", "--to", "hugging-face")
        self.tool("convert", self.dir / "hf", self.dir / "back", "--to", "lockstep")
        said = self.tool("diff", self.dir / "run", self.dir / "back", expect=1)  # weights only
        self.assertNotIn("elements differ", said)
        self.train("start", *sets, f'checkpoint.load="{self.dir}/back"')
        losses = [m["loss"] for m in self.metrics("run") if "loss" in m]
        self.assertLess(self.metrics("start")[0]["loss"], (losses[0] + losses[-1]) / 2)


if __name__ == "__main__":
    unittest.main(argv=sys.argv[:1] + sys.argv[3:])
