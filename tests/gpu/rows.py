# SPDX-License-Identifier: Apache-2.0
"""The rows of the table: what each needs, runs and says. A row returns a line and its figures; it raises
Skipped where this machine lacks what it needs, and Failed with what went wrong.

To add one: a function below, and its line in all_of().
"""

import dataclasses
import functools
import json
import pathlib
import subprocess
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


@dataclasses.dataclass
class Place:
    """What every row may use."""
    a: object
    machine: object
    programs: object
    scratch: pathlib.Path
    gpu_device: str = "cuda"  # job.device of what runs on the GPU

    def need_gpu(self):
        if not self.machine.gpus:
            raise Skipped(f"no GPU here: {self.machine.no_gpu}")
        return self.programs.ready()

    def need_torch(self):
        self.need_gpu()
        if not self.machine.torch:
            raise Skipped(f"no PyTorch: {self.machine.no_torch}")

    def output_of(self, command, timeout=None, environment=None):
        """stdout; Skipped and Failed as the command says."""
        try:
            done = subprocess.run(list(map(str, command)), capture_output=True, text=True, cwd=self.scratch,
                                  stdin=subprocess.DEVNULL, timeout=timeout or self.a.timeout,
                                  env=self.programs.environment() | (environment or {}))
        except subprocess.TimeoutExpired as late:
            raise Failed(f"not done after {late.timeout:.0f} s: {' '.join(map(str, command))}") from None
        said = "\n".join(filter(None, (done.stdout.strip(), done.stderr.strip())))
        if done.returncode == SKIP_STATUS or "skipped: no GPU" in done.stdout:
            raise Skipped(said.splitlines()[-1] if said else "it says so")
        if done.returncode != 0:
            last = "\n".join(said.splitlines()[-12:])
            raise Failed(f"ended with {done.returncode}: {' '.join(map(str, command[-3:]))}\n{last}")
        return done.stdout


def all_of(a, machine, programs, scratch):
    place = Place(a, machine, programs, scratch)
    table = [Row("programs", functools.partial(where_from, place))]
    for name, ranks, command in tests_of(place):
        table.append(Row(f"test {name}", functools.partial(gpu_test, place, command)))
    for tool in ("memcheck", "racecheck"):
        table.append(Row(f"compute-sanitizer {tool}", functools.partial(sanitized, place, tool)))
    table += [
        Row("train: GPU against CPU, float32", functools.partial(training.against_cpu, place, "float32")),
        Row("train: GPU against CPU, bfloat16", functools.partial(training.against_cpu, place, "bfloat16")),
        Row("train: GPU against PyTorch, float32", functools.partial(training.against_pytorch, place, "float32")),
        Row("train: GPU against PyTorch, bfloat16", functools.partial(training.against_pytorch, place, "bfloat16")),
        Row("two-ranks: one GPU through mpi", functools.partial(training.two_ranks, place)),
        Row("calibrate and predict", functools.partial(training.calibrated, place)),
        Row("kernels: shares of the GPU", functools.partial(kernel_shares, place)),
        Row("speed: GPT-2 124M against PyTorch", functools.partial(speed, place, "gpt2-124m")),
        Row("speed: GPT-2 350M against PyTorch", functools.partial(speed, place, "gpt2-350m")),
    ]
    return table


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
    """The tests of kernels, which are single processes."""
    place.need_gpu()
    if not place.machine.sanitizer:
        raise Skipped("compute-sanitizer is not here")
    tests = [t for t in place.programs.gpu_tests() if t[1] == 0 and "kernel" in t[0]]
    if not tests:
        raise Failed("there is no test of kernels")
    for _, _, command in tests:
        wrapped = place.programs.inside(command, [place.machine.sanitizer, "--tool", tool, "--error-exitcode", "9"])
        said = place.output_of(wrapped)
    return next((line for line in reversed(said.splitlines()) if "ERROR SUMMARY" in line or "hazards" in line),
                "clean").strip("= "), {}


def kernel_shares(place):
    """Least and middle share of what each kind could reach; the table is in the figures."""
    place.need_gpu()
    path = place.scratch / "kernels.json"
    place.output_of(place.programs.program("kernels_gpu", "tests/bench/kernels_gpu") + ["--json", path])
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
               "--bars-only-reported"]
    row = json.loads(place.output_of(command))["rows"][0]
    said = (f"{row['lockstep']:.0f} tokens/s: {row['to_eager']:.2f} of eager, {row['to_compile']:.2f} of compile,"
            f" {row['mfu']:.1%} of the GEMM rate ({row['gemm_flops'] / 1e12:.0f} TFLOP/s)")
    if not row["reached"]:
        raise Failed(said + "; the bars are 1.2 and 0.9", row)
    return said, row
