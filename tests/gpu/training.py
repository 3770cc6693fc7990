# SPDX-License-Identifier: Apache-2.0
"""Rows that train: loss curves of a GPU against those of the CPU, of PyTorch, of one rank."""

import json
import pathlib
import statistics

SMALL = {"model.layers": 4, "model.hidden": 256, "model.heads": 4, "model.sequence": 128, "model.dropout": 0,
         "model.vocabulary": 256, "model.tied": "true", "batch.global": 8, "batch.micro": 4, "job.steps": 20,
         "job.seed": 3, "optimizer.learning_rate": 1e-3, "optimizer.warmup_steps": 0, "job.evaluate_batches": 1}
QUICK = {"model.layers": 1, "model.hidden": 16, "model.heads": 2, "model.sequence": 12, "batch.global": 2,
         "batch.micro": 1, "job.steps": 2}
# Largest difference of a loss, relative: sums in another order, over 20 steps; 8 bits of mantissa.
TOLERANCE = {"float32": 1e-3, "bfloat16": 2e-2}


ROOT = pathlib.Path(__file__).resolve().parents[2]


def sizes(place):
    return SMALL | (QUICK if place.a.quick else {})


def curve(place, name, ranks=0, **keys):
    """Losses of the steps of one training run, and its metrics."""
    run_dir = place.scratch / name
    keys = sizes(place) | {"data.path": json.dumps([place.a.data]), "job.run_dir": str(run_dir)} | {
        key.replace("__", "."): value for key, value in keys.items()}
    words = [word for key, value in keys.items() for word in ("--set", f"{key}={value}")]
    place.output_of(place.programs.lockstep("train", empty_job(place), *words, ranks=ranks))
    steps = [json.loads(line) for line in (run_dir / "metrics.jsonl").read_text().splitlines()]
    return [step for step in steps if "step_seconds" in step]


def empty_job(place):
    path = place.scratch / "empty.toml"
    path.write_text("")
    return path


def losses(steps):
    return [step["loss"] for step in steps]


def compare(got, wanted, tolerance, what):
    from rows import Failed
    differences = [abs(a - b) / abs(b) for a, b in zip(got, wanted)]
    figures = dict(got=got, wanted=wanted, largest=max(differences), tolerance=tolerance)
    said = f"{what}: losses differ by {max(differences):.1e} at most ({wanted[0]:.3f} to {wanted[-1]:.3f})"
    if len(got) != len(wanted) or not max(differences) <= tolerance:
        raise Failed(f"{said}; {tolerance:.0e} is allowed", figures)
    return said, figures


def against_cpu(place, precision):
    place.need_gpu()
    wanted = losses(curve(place, f"cpu-{precision}", job__device="cpu"))
    got = losses(curve(place, f"cuda-{precision}", job__device=place.gpu_device, job__precision=precision))
    return compare(got, wanted, TOLERANCE[precision], precision)


# The same weights, and a text that is one window long, so that every sample is the same for both.
ALIKE = {"optimizer__weight_decay": 0, "optimizer__betas": "[0.9,0.95]", "optimizer__clip": 1.0,
         "optimizer__schedule": "constant", "data__validation_share": 0}


def against_pytorch(place, precision):
    place.need_torch()
    small = sizes(place)
    model = {key.removeprefix("model."): small[f"model.{key}"]
             for key in ("layers", "hidden", "heads", "sequence", "vocabulary")}
    window = place.scratch / "window"
    window.mkdir(exist_ok=True)
    (window / "text").write_bytes(pathlib.Path(__file__).read_bytes()[:model["sequence"] + 1])
    keys = ALIKE | {"data__path": json.dumps([str(window)])}
    curve(place, f"weights-{precision}", job__device="cpu", job__steps=1, optimizer__learning_rate=1e-12,
          checkpoint__every=1, **keys)
    place.output_of(place.programs.lockstep("checkpoint", "convert", place.scratch / f"weights-{precision}",
                                            place.scratch / f"hf-{precision}", "--to", "hugging-face"))
    ours = losses(curve(place, f"ours-{precision}", job__device=place.gpu_device, job__precision=precision, **keys))
    options = model | {"batch": small["batch.global"], "steps": small["job.steps"], "device": place.gpu_device,
                       "precision": precision, "data": window, "weight-decay": 0,
                       "learning-rate": small["optimizer.learning_rate"],
                       "load": place.scratch / f"hf-{precision}/model.safetensors"}
    out = place.output_of([place.a.torch_python, ROOT / "tests/bench/pytorch_gpt.py", "--tied",
                           *(f"--{key}={value}" for key, value in options.items())])
    return compare(ours, json.loads(out.splitlines()[-1])["losses"], TOLERANCE[precision], f"{precision}, PyTorch")


def two_ranks(place):
    """Both on the first GPU, although there may be more: NCCL then serves nobody, and mpi is staged."""
    place.need_gpu()
    one = curve(place, "one-rank", job__device=place.gpu_device)
    two = curve(place, "two-ranks", ranks=2, job__device=place.gpu_device, job__ranks_per_gpu=2, collectives__backend="mpi")
    native = curve(place, "two-ranks-native", ranks=2, job__device=place.gpu_device, job__ranks_per_gpu=2,
                   collectives__backend="native")
    compare(losses(native), losses(one), TOLERANCE["float32"], "native")
    return compare(losses(two), losses(one), TOLERANCE["float32"], "mpi and native")


def compressed(place):
    """Both on the first GPU: each method against two ranks on CPUs. What a step sends changes where a value is near the
    next one of its code, and what it leaves out is sent later: as far apart as with 8 bits of mantissa."""
    place.need_gpu()
    gpu = dict(job__device=place.gpu_device, job__ranks_per_gpu=2)
    said, figures = [], {}
    for method in ["powersgd"] + ["int8", "top_k"] * (not place.a.quick):
        keys = dict(ranks=2, collectives__backend="mpi", collectives__compression=method)
        wanted = losses(curve(place, f"{method}-cpu", job__device="cpu", **keys))
        text, figures[method] = compare(losses(curve(place, f"{method}-cuda", **gpu, **keys)), wanted,
                                        TOLERANCE["bfloat16"], method)
        said.append(text)
    return "; ".join(said), figures


GPT2 = dict(job__steps=30, model__layers=12, model__hidden=768, model__heads=12, model__sequence=1024,
            model__vocabulary=50304, batch__global=8, batch__micro=8)


STEP_RANGE = 1.2  # of a predicted step, in proportion to the measured one


def calibrated(place):
    """A profile of this GPU, and the step that it predicts beside the step that was measured."""
    from rows import Failed
    place.need_gpu()
    profile = place.scratch / "gpu.toml"
    place.output_of(place.programs.lockstep("calibrate", "--device", "cuda", "--quick", "-o", profile))
    keys = dict(job__device=place.gpu_device, job__precision="bfloat16") | ({} if place.a.quick else GPT2)
    measured = statistics.median(step["step_seconds"] for step in curve(place, "predicted", **keys)[-20:])
    words = sizes(place) | {"data.path": json.dumps([place.a.data])} | {k.replace("__", "."): v for k, v in keys.items()}
    sets = [word for key, value in words.items() if key != "job.run_dir" for word in ("--set", f"{key}={value}")]
    found = json.loads(place.output_of(place.programs.lockstep("predict", empty_job(place), "--machine", profile,
                                                               "--ranks", 1, "--json", *sets)))
    predicted, guessed = found["step_seconds"], sum(g["seconds"] for g in found["guessed"])
    figures = dict(measured=measured, predicted=predicted, guessed=found["guessed"], breakdown=found["breakdown"],
                   profile=profile.read_text())
    what = "a tiny step" if place.a.quick else "a step of GPT-2 124M"
    said = (f"{what}: predicted {predicted * 1e3:.1f} ms, measured {measured * 1e3:.1f} ms; "
            f"{guessed / predicted:.0%} of it is not measured")
    if place.a.quick:
        return said, figures
    if not 1 / STEP_RANGE < predicted / measured < STEP_RANGE:
        raise Failed(f"{said}; off by more than a factor of {STEP_RANGE}", figures)
    if guessed > 0.05 * predicted:
        raise Failed(f"{said}; 5 % is allowed", figures)
    return said, figures
