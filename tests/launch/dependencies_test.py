#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""launch/dependencies on machines that we do not have: a PATH of stubs stands for each of them."""

import os
import shutil
import subprocess
import tempfile
import unittest
from pathlib import Path

SCRIPT = Path(__file__).parents[2] / "launch" / "dependencies"
TOOLS = ["sed", "tr", "cat", "mktemp", "rm", "tail", "grep", "env", "sleep", "chmod"]
PRESENT = {"python3": "", "git": "", "clang-format-14": "echo version 14.0.6"}


class Dependencies(unittest.TestCase):
    def setUp(self):
        self.bin = Path(tempfile.mkdtemp(prefix="lockstep-dependencies-")) / "bin"
        self.addCleanup(shutil.rmtree, self.bin.parent)
        self.bin.mkdir()
        for tool in TOOLS:  # no links: a test that replaces a tool must never write through one
            self.stub(tool, f'exec {shutil.which(tool)} "$@"')
        self.stub("id", "echo 1000")

    def stub(self, name, body):
        (self.bin / name).write_text(f"#!/bin/sh\n{body}\n")
        (self.bin / name).chmod(0o755)

    def become_root_with_apt(self, body):
        """An apt-get that writes down how it was called."""
        self.stub("id", "echo 0")
        self.stub("sleep", "")
        self.stub("apt-get", f'echo "$DEBIAN_FRONTEND $*" >>{self.bin}/calls\n{body}')

    def calls(self):
        calls = self.bin / "calls"
        return calls.read_text().splitlines() if calls.exists() else []

    def run_script(self, *arguments):
        environment = {"PATH": str(self.bin), "TMPDIR": str(self.bin.parent)}
        return subprocess.run([SCRIPT, *arguments], env=environment, stdin=subprocess.DEVNULL,
                              capture_output=True, text=True, timeout=30)

    def test_nothing_missing_is_silent_and_installs_nothing(self):
        self.become_root_with_apt("exit 1")
        for name, body in PRESENT.items():
            self.stub(name, body)
        result = self.run_script("lint")
        self.assertEqual((result.returncode, result.stdout, result.stderr), (0, "", ""))
        self.assertEqual(self.calls(), [])

    def test_without_root_it_names_packages_reasons_and_modules(self):
        self.stub("apt-get", f"touch {self.bin}/calls")
        result = self.run_script("build")
        self.assertEqual(result.returncode, 1)
        self.assertIn("ninja-build          runs the build\n", result.stderr)
        self.assertRegex(result.stderr, r"apt-get install cmake ninja-build g\+\+ pkg-config libopenmpi-dev openmpi-bin")
        self.assertRegex(result.stderr, r"module load cmake ninja gcc pkgconf openmpi ")
        self.assertEqual(self.calls(), [])

    def test_a_sudo_that_wants_a_password_is_not_used(self):
        self.stub("apt-get", f"touch {self.bin}/calls")
        self.stub("sudo", '[ "$1" = -n ] || touch ' + f"{self.bin}/calls\nexit 1")
        self.assertEqual(self.run_script("lint").returncode, 1)
        self.assertEqual(self.calls(), [])

    def test_as_root_it_installs_what_is_missing_and_only_that(self):
        stubs = "\n".join(f"printf '#!/bin/sh\\n{body}\\n' >{self.bin}/{name}; chmod +x {self.bin}/{name}"
                          for name, body in PRESENT.items())
        self.stub("git", "")
        self.become_root_with_apt(f'case "$*" in *install*) {stubs} ;; esac')
        result = self.run_script("test", "lint")
        self.assertIn("Installing: ", result.stderr)
        update, install = self.calls()
        self.assertRegex(update, r"^noninteractive .* update$")
        self.assertRegex(install, r"^noninteractive .*Lock::Timeout.* install -y .*python3 clang-format-14$")

    def test_check_only_never_installs(self):
        self.become_root_with_apt("")
        self.assertEqual(self.run_script("--check", "lint").returncode, 1)
        self.assertEqual(self.calls(), [])

    def test_a_failed_installation_shows_why(self):
        self.become_root_with_apt("echo E: the mirror is away; exit 100")
        result = self.run_script("lint")
        self.assertEqual(result.returncode, 1)
        self.assertIn("E: the mirror is away", result.stderr)

    def test_packages_that_do_not_help_are_said(self):
        self.become_root_with_apt("")
        result = self.run_script("lint")
        self.assertEqual(result.returncode, 1)
        self.assertIn("Still missing after installing", result.stderr)

    def test_an_old_cmake_counts_as_missing(self):
        for version, status in {"3.22.1": 1, "3.25.1": 0, "4.0.3": 0}.items():
            self.stub("cmake", f"echo cmake version {version}")
            missing = "cmake " in self.run_script("--check", "build").stderr.split("Install it")[0]
            self.assertEqual(missing, bool(status), version)

    def test_cmake_packages_are_found_below_a_prefix(self):
        config = self.bin.parent / "lib" / "cmake" / "Catch2" / "Catch2Config.cmake"
        config.parent.mkdir(parents=True)
        config.touch()
        self.stub("python3", "")
        self.assertEqual(self.run_script("test").returncode, 0)

    def test_usage(self):
        for arguments in [], ["everything"], ["build", "everything"]:
            self.assertEqual(self.run_script(*arguments).returncode, 2, arguments)


if __name__ == "__main__":
    unittest.main()
