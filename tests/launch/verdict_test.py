#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""A rank is killed, stopped, or calls something else: a verdict names it, every rank ends with a status that
is not zero, soon after the deadline, and no process is left.

verdict_test.py VERDICT_JOB MPIRUN [TEST...]      MPIRUN is tests/support/mpirun: MPIRUN RANKS COMMAND...
"""

import os
import re
import signal
import subprocess
import sys
import tempfile
import time
import unittest

SUPPORT = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "support")

JOB, MPIRUN = sys.argv[1:3]
DEADLINE = 2        # seconds, of an operation
NEVER = 600         # where what is wrong is found without it: then a busy machine is not what is wrong
GRACE = 2           # seconds after it in which the job must have ended
NOISE = 30          # seconds that a busy machine may add: the test looks for hangs, not for milliseconds
LIMIT = 60
AT_A_TIME = 3
LAUNCHER_LIMIT = 20  # seconds for a launcher whose ranks have ended
BACKENDS = ("native", "mpi")


class Running:
    """A job under way. Its output is read line by line until all ranks are ready."""

    def __init__(self, ranks, backend, how, launcher=None, environment=None, deadline=DEADLINE):
        command = [*(launcher or [MPIRUN, str(ranks)]), JOB, backend, str(deadline), how]
        self.errors = tempfile.TemporaryFile("w+")
        self.process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=self.errors, text=True,
                                        stdin=subprocess.DEVNULL, env={**os.environ, **(environment or {})})
        self.ranks, self.pids, self.ready = ranks, {}, set()
        self.launcher_hung = False

    def read_line(self):
        line = self.process.stdout.readline()
        if match := re.search(r"rank (\d+) pid (\d+) (.*)", line):
            self.pids[int(match[1])] = int(match[2])
            if match[3] == "is ready":
                self.ready.add(int(match[1]))
        return line

    def await_ready(self):
        while len(self.ready) < self.ranks and self.read_line():
            pass
        self.began = time.monotonic()
        return len(self.ready) == self.ranks

    def end(self):
        """What was said on stderr, the status, and the seconds since all were ready."""
        seconds = self.await_end()
        self.process.stdout.read()
        status = self.process.wait(timeout=LIMIT)
        self.errors.seek(0)
        return self.errors.read(), status, seconds

    def await_end(self):
        """Open MPI's mpirun may deadlock in its own finalize (PMIx_server_finalize) when all ranks have ended: then it
        is killed, and the job has ended with its ranks."""
        gone = None
        while self.process.poll() is None:
            now = time.monotonic()
            gone = None if self.computing() else gone or now
            if now - self.began > LIMIT or (gone and now - gone > LAUNCHER_LIMIT):
                self.launcher_hung = gone is not None
                self.process.kill()
                return (gone or now) - self.began
            time.sleep(0.02)
        return time.monotonic() - self.began

    def computing(self):
        """Ranks that have not ended: a zombie has, though its launcher has not noticed."""
        def state(pid):
            try:
                return open(f"/proc/{pid}/stat").read().rsplit(")", 1)[1].split()[0]
            except OSError:
                return "Z"
        return [pid for pid in self.pids.values() if state(pid) != "Z"]

    def alive(self):
        return [pid for pid in self.pids.values() if os.path.exists(f"/proc/{pid}")]

    def clean_up(self):
        for pid in self.alive():
            try:
                os.kill(pid, signal.SIGKILL)
            except ProcessLookupError:
                pass
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait()
        self.process.stdout.close()
        self.errors.close()


class Verdict(unittest.TestCase):
    def start(self, *arguments, **options):
        job = Running(*arguments, **options)
        self.addCleanup(job.clean_up)
        self.assertTrue(job.await_ready(), "the job did not start")
        return job

    def expect_end(self, job, words, limit=DEADLINE + GRACE + NOISE):
        """The one line that was said."""
        text, status, seconds = job.end()
        print(f"{self.id().split('.')[-1]}: {seconds:.1f} s, status {status}", file=sys.stderr)
        if "status" not in text:  # of the ranks, where the launcher's own means nothing
            self.assertNotEqual(status, 0, text)
        self.assertLess(seconds, limit, text)
        said = [line for line in text.splitlines() if line.startswith("lockstep: ")]
        if words:
            self.assertGreaterEqual(len(said), 1, text)  # mostly one: the launcher may be slow to end the others
        for word in words:
            self.assertRegex(said[0], word)
        end = time.monotonic() + NOISE
        while job.alive() and time.monotonic() < end:
            time.sleep(0.05)
        self.assertEqual(job.alive(), [], text)
        return text

    def each(self, how, **options):
        for backend in BACKENDS:
            for ranks in (2, 3):
                with self.subTest(backend=backend, ranks=ranks):
                    yield self.start(ranks, backend, how, **options), ranks - 1

    def test_a_job_without_faults_says_nothing(self):
        for job, _ in self.each("none", deadline=NEVER):
            text, status, _ = job.end()
            if not job.launcher_hung:
                self.assertEqual((text, status), ("", 0))

    def test_a_stopped_rank(self):
        for job, last in self.each("loop"):
            os.kill(job.pids[last], signal.SIGSTOP)
            self.expect_end(job, [rf"not complete after \d.*: rank {last} \(pid {job.pids[last]} on node .*stopped",
                                  "who stopped it", r"(last it completed|it is in) (all_reduce|broadcast)"])

    def test_a_killed_rank(self):
        # The launcher ends the others, on a busy machine before they have seen anything: then it is the one to say it.
        for job, last in self.each("loop", environment={"OMPI_MCA_orte_execute_quiet": "0"}, deadline=NEVER):
            os.kill(job.pids[last], signal.SIGKILL)
            text = self.expect_end(job, [])
            self.assertRegex(text, rf"rank {last} .*(signal 9|Killed|has ended)|KILLED BY SIGNAL: 9")

    def test_a_killed_rank_where_the_launcher_goes_on(self):
        version = subprocess.run(["mpirun", "--version"], capture_output=True, text=True).stdout
        if "Open MPI" not in version:
            self.skipTest("knows only Open MPI's option for that")
        for backend in BACKENDS:
            with self.subTest(backend=backend):
                ranks = [MPIRUN, "3", "sh", "-c", '"$@"; echo "status $?" >&2', "sh"]
                job = self.start(3, backend, "loop", launcher=ranks,
                                 environment={"OMPI_MCA_orte_enable_recovery": "1"}, deadline=NEVER)
                os.kill(job.pids[1], signal.SIGKILL)
                text = self.expect_end(job, [])
                self.assertRegex(text, rf"lockstep: rank [02]: .*: rank 1 \(pid {job.pids[1]} on node .*has ended")
                statuses = re.findall(r"^status (\d+)", text, re.M)  # the launcher may kill the last shell
                self.assertGreaterEqual(len(statuses), 2, text)
                self.assertNotIn("0", statuses, text)

    def several_nodes(self, nodes, per_node):
        launcher = [os.path.join(SUPPORT, "mpirun_on_nodes"), "+".join([str(per_node)] * nodes)]
        if subprocess.run([*launcher, "true"], capture_output=True).returncode == 77:
            self.skipTest("several nodes cannot be had here")
        return launcher

    def test_a_stopped_rank_of_another_node(self):
        for nodes, per_node in ((2, 1), (2, 2)):
            for backend in BACKENDS:
                with self.subTest(nodes=nodes, per_node=per_node, backend=backend):
                    ranks = nodes * per_node
                    job = self.start(ranks, backend, "loop", launcher=self.several_nodes(nodes, per_node))
                    pid = job.pids[ranks - 1]
                    os.kill(pid, signal.SIGSTOP)
                    text = self.expect_end(job, [])
                    self.assertRegex(text, rf"rank {ranks - 1} \(pid {pid} on node n{nodes - 1}\).*stopped"
                                     if per_node > 1 else rf"rank {ranks - 1} does not answer")

    def test_another_operation_on_another_node(self):
        for backend in BACKENDS:
            with self.subTest(backend=backend):
                job = self.start(3, backend, "operation", launcher=self.several_nodes(3, 1))
                text = self.expect_end(job, [])
                self.assertRegex(text, rf"rank 2 \(pid {job.pids[2]} on node n2\) called broadcast from rank 0 of")

    def test_a_rank_that_does_not_come(self):
        for job, last in self.each("sleep"):
            self.expect_end(job, [rf"all_reduce of 100000 x float32 in group world .*call \d+: not complete after \d",
                                  rf"rank {last} .*has not come: last it completed broadcast from rank 0 of 10 x float32"
                                  r" in group world, call \d+, \d", "collectives.timeout_seconds"])

    def test_a_rank_that_left(self):
        for job, last in self.each("leave"):
            self.expect_end(job, [rf"rank {last} .*has not come: it has left the job"])

    def test_a_rank_that_failed_speaks_for_itself(self):
        for job, last in self.each("fail", deadline=NEVER):
            self.expect_end(job, [f"rank {last}: disk is gone"])

    def expect_mismatch(self, how, theirs, ours):
        for job, last in self.each(how, deadline=NEVER):
            self.expect_end(job, [rf"rank {last} \(pid {job.pids[last]} on node .*\) called {theirs} instead of {ours}",
                                  "same calls in the same order"])

    def test_another_operation(self):
        self.expect_mismatch("operation", "broadcast from rank 0 of 100000 x float32",
                             r"all_reduce \(sum\) of 100000 x float32")

    def test_another_count(self):
        self.expect_mismatch("count", r"all_reduce \(sum\) of 10 x float32", r"all_reduce \(sum\) of 100000 x float32")

    def test_another_type(self):
        self.expect_mismatch("type", r"all_reduce \(sum\) of 100000 x int32", r"all_reduce \(sum\) of 100000 x float32")

    def test_another_reduction(self):
        self.expect_mismatch("reduction", r"all_reduce \(max\) of 100000 x float32",
                             r"all_reduce \(sum\) of 100000 x float32")

    def test_messages_that_do_not_match(self):
        for job, last in self.each("message", deadline=NEVER):
            self.expect_end(job, [r"(send to|receive from) rank \d of \d+ x float32, which does not match"])


def run_in_parts():
    """Jobs mostly wait for deadlines: several copies of this program at a time, each with some of the tests."""
    names = [f"Verdict.{name}" for name in unittest.TestLoader().getTestCaseNames(Verdict)]
    parts = [subprocess.Popen([sys.executable, *sys.argv, *names[i::AT_A_TIME]]) for i in range(AT_A_TIME)]
    return max(abs(part.wait()) for part in parts)


if __name__ == "__main__":
    if len(sys.argv) == 3:
        sys.exit(run_in_parts())
    unittest.main(argv=[sys.argv[0], *sys.argv[3:]])
