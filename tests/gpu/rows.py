# SPDX-License-Identifier: Apache-2.0
"""The rows of the table: what each needs, runs and says. A row returns a line and its figures; it raises
Skipped where this machine lacks what it needs, and Failed with what went wrong.

To add one: a function below, and its line in all_of().
"""

import dataclasses
import functools
import json
import os
import pathlib
import signal
import subprocess
import time
import typing

import training

ROOT = pathlib.Path(__file__).resolve().parents[2]
SKIP_STATUS = 77


class Skipped(Exception):
    pass


class Failed(Exception):
    def __init__(self, said, figures=None):
        super().__init__(said)
        self.figures = figures or {}


@dataclasses.dataclass
class Row:
    name: str
    run: typing.Callable
    limit: float  # seconds
    place: object


@dataclasses.dataclass
class Place:
    """What every row may use."""
    a: object
    machine: object
    programs: object
    scratch: pathlib.Path
    gpu_device: str = "cuda"  # job.device of what runs on the GPU
    ends: float = 0  # of the row that runs
    log: pathlib.Path = None  # what its programs print goes there

    def begin(self, seconds, log):
        self.ends, self.log = time.monotonic() + seconds, log
        log.unlink(missing_ok=True)

    def need_gpu(self):
        if not self.machine.gpus:
            raise Skipped(f"no GPU here: {self.machine.no_gpu}")
        return self.programs.ready()

    def need_torch(self):
        self.need_gpu()
        if not self.machine.torch:
            raise Skipped(f"no PyTorch: {self.machine.no_torch}")

    def output_of(self, command, environment=None):
        """stdout; Skipped and Failed as the command says, Failed when the time of the row is over."""
        command = list(map(str, command))
        run = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, stdin=subprocess.DEVNULL,
                               text=True, cwd=self.scratch, start_new_session=True,
                               env=self.programs.environment() | (environment or {}))
        late = False
        try:
            out, err = run.communicate(timeout=max(1, self.ends - time.monotonic()))
        except subprocess.TimeoutExpired:
            late = True
        finally:
            if run.poll() is None:  # and all that it started: they would keep the GPU
                os.killpg(run.pid, signal.SIGKILL)
        if late:
            out, err = run.communicate()
        self.note(command, out, err)
        said = "\n".join(filter(None, (out.strip(), err.strip())))
        last = "\n".join(said.splitlines()[-12:])
        if late:
            raise Failed(f"not done when its time was over: {' '.join(command[-3:])}\n{last}")
        if run.returncode == SKIP_STATUS or "skipped: no GPU" in out:
            raise Skipped(said.splitlines()[-1] if said else "it says so")
        if run.returncode != 0:
            raise Failed(f"ended with {run.returncode}: {' '.join(command[-3:])}\n{last}")
        return out

    def note(self, command, out, err):
        self.log.parent.mkdir(parents=True, exist_ok=True)
        with self.log.open("a") as log:
            log.write(f"$ {' '.join(command)}\n{out}{err}\n")


def all_of(a, machine, programs, scratch):
    """In the order of what they are worth when time is short."""
    place = Place(a, machine, programs, scratch)

    def row(name, limit, run, *arguments):
        return Row(name, functools.partial(run, place, *arguments), limit, place)

    tests = [row(f"test {name}", 150, gpu_test, command) for name, _, command in tests_of(place)]
    first = [t for t in tests if "kernel" in t.name]
    return [
        row("programs", 900, where_from),
        *first,
        row("speed: GPT-2 124M against PyTorch", 300, speed, "tiny" if a.quick else "gpt2-124m"),
        row("kernels: shares of the GPU", 90, kernel_shares),
        row("train: GPU against CPU, bfloat16", 90, training.against_cpu, "bfloat16"),
        row("train: GPU against CPU, float32", 90, training.against_cpu, "float32"),
        row("two-ranks: one GPU through mpi", 120, training.two_ranks),
        row("compressed gradients of two ranks", 120, training.compressed),
        row("calibrate and predict", 150, training.calibrated),
        *[t for t in tests if t not in first],
        row("train: GPU against PyTorch, bfloat16", 90, training.against_pytorch, "bfloat16"),
        row("train: GPU against PyTorch, float32", 90, training.against_pytorch, "float32"),
        row("compute-sanitizer memcheck", 150, sanitized, "memcheck"),
        row("speed: GPT-2 350M against PyTorch", 300, speed, "tiny" if a.quick else "gpt2-350m"),
        row("compute-sanitizer racecheck", 150, sanitized, "racecheck"),
    ]


def where_from(place):
    return place.need_gpu(), {}


def tests_of(place):
    """Where nothing is built yet and no GPU would run it, one line stands for all."""
    one_for_all = [("(of the label gpu)", 0, None)]
    try:
        if place.machine.gpus:
            place.programs.ready()
        return place.programs.gpu_tests() or one_for_all
    except RuntimeError:  # cannot be built: every row says so
        return one_for_all


def gpu_test(place, command):
    place.need_gpu()
    if command is None:
        raise Failed("there is no test of the label gpu in " + place.programs.source)
    said = place.output_of(command)
    last = [line for line in said.splitlines() if line.strip()]
    return (last[-1] if last else "passed"), {}


def sanitized(place, tool):
    """The tests of kernels, which are single processes; cuDNN's are not ours to check."""
    place.need_gpu()
    if not place.machine.sanitizer:
        raise Skipped("compute-sanitizer is not here")
    tests = [t for t in place.programs.gpu_tests() if t[1] == 0 and "kernel" in t[0]]
    if not tests:
        raise Failed("there is no test of kernels")
    for _, _, command in tests:
        wrapped = place.programs.inside(command, [place.machine.sanitizer, "--tool", tool, "--error-exitcode", "9"]) + [
            "~attention of the library"]
        said = place.output_of(wrapped)
    return next((line for line in reversed(said.splitlines()) if "ERROR SUMMARY" in line or "hazards" in line),
                "clean").strip("= "), {}


def kernel_shares(place):
    """Least and middle share of what each kind could reach; the table is in the figures."""
    place.need_gpu()
    path = place.scratch / "kernels.json"
    place.output_of(place.programs.program("kernels_gpu", "tests/bench/kernels_gpu") + ["--json", path] +
                    ["--quick"] * place.a.quick)
    kernels = json.loads(path.read_text())
    texts = []
    for kind in ("product", "copy"):
        shares = sorted(k["share"] for k in kernels if k["share_of"] == kind and k["share"] < 1)
        if shares:
            texts.append(f"of a {kind}: {shares[0]:.0%} at least, {shares[len(shares) // 2]:.0%} in the middle")
    return "; ".join(texts), dict(kernels=kernels)


def speed(place, model):
    place.need_torch()
    a = place.a
    lockstep = " ".join(place.programs.lockstep())
    command = [a.torch_python, ROOT / "tests/bench/compare_pytorch_gpu.py", "--torch-python", a.torch_python,
               "--lockstep", lockstep, "--model", model, "--rounds", a.rounds, "--data", a.data, "--json",
               "--bars-only-reported"] + ["--steps", "3", "--warmup", "1"] * a.quick
    row = json.loads(place.output_of(command))["rows"][0]
    ours = ", ".join(f"{name} {row[name]:.0f}" if row[name] else f"{name} failed: {row['why'][name]}"
                     for name in row["ours"])
    ratios = ", ".join(f"{row[f'to_{peer}']:.2f} of {peer}" if row.get(peer) else f"{peer} failed: {row['why'][peer]}"
                       for peer in row["peers"])
    said = (f"{ours} tokens/s; {ratios}; {row['mfu']:.1%} of the GEMM rate ({row['gemm_flops'] / 1e12:.0f} TFLOP/s)"
            if row["gemm_flops"] else f"{ours} tokens/s; {ratios}")
    if not row["reached"]:
        raise Failed(said + "; the bars are 1.2 of eager and 0.9 of compile", row)
    return said, row
