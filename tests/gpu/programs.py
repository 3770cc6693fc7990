# SPDX-License-Identifier: Apache-2.0
"""Where the program and its tests come from: a bundle, a build folder, or a build that is made now."""

import json
import os
import pathlib
import subprocess
import tarfile

ROOT = pathlib.Path(__file__).resolve().parents[2]


class Programs:
    def __init__(self, a, machine, scratch):
        self.bundle, self.build, self.source = None, None, ""
        self.cuda_folders = machine.cuda_folders
        path = pathlib.Path(a.bundle)
        if a.build:
            self.build = pathlib.Path(a.build).resolve()
        elif path.is_dir():
            self.bundle = path.resolve()
        elif path.is_file():
            self.bundle = unpacked(path, scratch)
        self.failure = None  # of the build: said by every row, tried once
        self.source = f"bundle {path}" if self.bundle else f"build {self.build}" if self.build else ""

    def ready(self):
        """Builds, where there is neither bundle nor build. Says what it used."""
        if self.failure:
            raise self.failure
        if not self.source:
            try:
                self.build = build_here()
            except RuntimeError as failure:
                self.failure = failure
                raise
            self.source = f"built in {self.build}"
        return self.source

    def environment(self):
        return os.environ | dict(OMPI_ALLOW_RUN_AS_ROOT="1", OMPI_ALLOW_RUN_AS_ROOT_CONFIRM="1")

    def prefix(self):
        """What our programs begin with. PyTorch, which has its own, does not get these folders."""
        known = [os.environ["LD_LIBRARY_PATH"]] if os.environ.get("LD_LIBRARY_PATH") else []
        folders = ":".join(known + self.cuda_folders)
        return (["env", f"LD_LIBRARY_PATH={folders}"] if folders else []) + (
            [str(self.bundle / "run")] if self.bundle else [])

    def lockstep(self, *arguments, ranks=0):
        program = "lockstep" if self.bundle else str(self.build / "lockstep")
        return self.under(ranks) + [program, *map(str, arguments)]

    def under(self, ranks):
        if ranks == 0:
            return self.prefix()
        if self.bundle:
            return self.prefix() + ["mpirun", "-q", "--oversubscribe", "--bind-to", "none", "-np", str(ranks)]
        return self.prefix() + [str(ROOT / "tests/support/mpirun"), str(ranks)]

    def program(self, name, place_in_build):
        """Of no test: a benchmark."""
        return self.prefix() + [name if self.bundle else str(self.build / place_in_build)]

    def inside(self, command, tool):
        """The command under another program, in the same environment."""
        begin = len(self.prefix())
        return command[:begin] + tool + command[begin:]

    def gpu_tests(self):
        """Of the label gpu: name, ranks, command."""
        if self.bundle:
            tests = json.loads((self.bundle / "tests.json").read_text())
            return [(t["name"], t["ranks"], self.under(t["ranks"]) + [t["program"], *t["arguments"]]) for t in tests]
        if not self.build or not (self.build / "CTestTestfile.cmake").exists():
            return []
        listed = subprocess.run(["ctest", "--test-dir", self.build, "-L", "^gpu$", "--show-only=json-v1"],
                                capture_output=True, text=True, check=True).stdout
        return [(t["name"], ranks_of(t["command"]), self.prefix() + t["command"])
                for t in json.loads(listed)["tests"] if t.get("command")]


def ranks_of(command):
    return int(command[1]) if pathlib.Path(command[0]).name == "mpirun" else 0


def unpacked(archive, scratch):
    with tarfile.open(archive) as tar:
        tar.extractall(scratch, **(dict(filter="data") if hasattr(tarfile, "data_filter") else {}))
    return scratch / "bundle"


def build_here():
    build = ROOT / "build/cuda"
    for command in (["cmake", "--preset", "cuda"], ["cmake", "--build", build, f"-j{os.cpu_count()}"]):
        done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
        if done.returncode != 0:
            last = (done.stderr.strip() or done.stdout.strip()).splitlines()[-5:]
            raise RuntimeError("no bundle, and it cannot be built here:\n" + "\n".join(last) +
                               "\nmake one where Open MPI is (tests/gpu/bundle) and bring it along as --bundle")
    return build
