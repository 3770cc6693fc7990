#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Published step times and memory of GPT on A100 clusters against `lockstep predict --machine a100`.

    tests/bench/check_published.py [--lockstep PATH] [--plan]

Every row is predicted with the one shipped profile. The jobs say what the published software was:
Megatron-LM of 2021 and 2022 in 16 bits (job.software, runtime/device/dry_policy.hpp), dropout of 0.1,
and layouts as printed (perfmodels/published). Prints each error, Calculon's beside it where it is
known, and fails above the bars: 9 % mean of absolute errors in Narayanan's table, 6 % in Korthikanti's,
5 % of each quantity of memory.
"""
import argparse
import csv
import json
import pathlib
import subprocess
import sys
import tempfile

ROOT = pathlib.Path(__file__).resolve().parents[2]
PUBLISHED = ROOT / "perfmodels" / "published"
GIB = 2**30
# SC21 scripts: micro-batch of each row; layers of a chunk where the schedule is interleaved.
MICRO = {"1.7": 16, "3.6": 16, "7.5": 16, "18.4": 8, "39.1": 4, "76.1": 2, "145.6": 2, "310.1": 1,
         "529.6": 1, "1008.0": 1}
LAYERS_OF_CHUNK = {"76.1": 5, "145.6": 5, "310.1": 3, "529.6": 1}
ALL_GRADIENTS_MB, DDP_BUCKET_MB = 1e6, 25  # not overlapped; PyTorch's default


def rows_of(name):
    with open(PUBLISHED / name, encoding="utf-8") as file:
        return list(csv.DictReader(line for line in file if not line.startswith("#")))


def keys_of_model(layers, hidden, heads):
    return {"model.kind": "gpt", "model.layers": layers, "model.hidden": hidden, "model.heads": heads,
            "model.sequence": 2048, "model.vocabulary": 51200, "model.dropout": 0.1,
            "job.software": "megatron-2021", "job.precision": "bfloat16"}


def keys_of_layout(data, tensor, pipeline, chunks, batch, micro, recompute, sequence_parallel):
    return {"parallel.data": data, "parallel.tensor": tensor, "parallel.pipeline": pipeline,
            "parallel.chunks": chunks, "parallel.schedule": "interleaved" if chunks > 1 else "1f1b",
            "parallel.recompute": recompute,
            "parallel.sequence_parallel": str(sequence_parallel).lower(), "batch.global": batch,
            "batch.micro": micro}


def narayanan_job(row):
    t, p, d = int(row["tp"]), int(row["pp"]), int(row["dp"])
    of_stage = int(row["layers"]) // p
    chunks = of_stage // LAYERS_OF_CHUNK.get(row["params_B"], of_stage)
    keys = keys_of_model(row["layers"], row["hidden"], row["heads"])
    keys |= keys_of_layout(d, t, p, chunks, row["global_batch"], MICRO[row["params_B"]], "full", False)
    waits = float(row["params_B"]) >= 39
    keys["parallel.bucket_mb"] = ALL_GRADIENTS_MB if waits else DDP_BUCKET_MB
    return keys, int(row["gpus"])


def korthikanti_job(row, recompute=None, sequence_parallel=None):
    recompute = recompute or {"full": "full", "attn_only": "selective"}[row["recompute"]]
    if sequence_parallel is None:
        sequence_parallel = row["seq_parallel"] == "1"
    keys = keys_of_model(row["layers"], row["hidden"], row["heads"])
    keys |= keys_of_layout(row["dp"], int(row["tp"]), int(row["pp"]), int(row["vp"]),
                           row["global_batch"], row["micro_batch"], recompute, sequence_parallel)
    return keys, int(row["gpus"])


def run(lockstep, command, keys, ranks, *more):
    with tempfile.NamedTemporaryFile("w", suffix=".toml") as job:
        sets = [f"--set={key}={value}" for key, value in keys.items()]
        done = subprocess.run([lockstep, command, job.name, "--machine", "a100", "--ranks", str(ranks),
                               "--json", *sets, *more], capture_output=True, text=True, check=False)
    if done.returncode != 0:
        sys.exit(f"{command} of {keys}: {done.stderr}{done.stdout}")
    return json.loads(done.stdout)


def mean(values):
    return sum(values) / len(values)


def show_parts(predicted):
    parts = {k: v for k, v in predicted["breakdown"].items() if isinstance(v, float)}
    return " ".join(f"{name[:9]} {seconds:.2f}" for name, seconds in parts.items() if seconds > 0)


def check_steps(lockstep, title, jobs, bar, verbose):
    print(f"\n{title}\n{'':24}{'GPUs':>6}{'published s':>13}{'predicted s':>13}{'error %':>9}"
          f"{'Calculon %':>12}{'GiB':>8}")
    errors = []
    for name, keys, ranks, seconds, calculon in jobs:
        predicted = run(lockstep, "predict", keys, ranks)
        error = 100 * (predicted["step_seconds"] / seconds - 1)
        errors.append(error)
        print(f"{name:24}{ranks:6}{seconds:13.3f}{predicted['step_seconds']:13.3f}{error:9.1f}"
              f"{calculon:>12}{predicted['memory_bytes'] / GIB:8.1f}")
        if verbose:
            print("    " + show_parts(predicted))
    size = mean([abs(e) for e in errors])
    print(f"mean of absolute errors {size:.2f} %, largest {max(map(abs, errors)):.1f} %, "
          f"mean {mean(errors):.1f} %; the bar is {bar} %")
    return size <= bar


def layers_stored(row):
    """Of the first stage, in layers times micro-batches."""
    p, v = int(row["pp"]), int(row["vp"])
    return int(row["layers"]) * (1 + ((p - 1) / (p * v) if v > 1 else 0))


def kept_besides(row, recompute, sequence_parallel):
    """Bytes of a layer that Megatron-LM keeps and we make again: masks of dropout, which we draw
    again; the output of the attention core under selective recomputation; softmax, its mask and what
    dropout leaves of it without recomputation (Korthikanti et al., section 4)."""
    s, b, h, a, t = 2048, int(row["micro_batch"]), int(row["hidden"]), int(row["heads"]), int(row["tp"])
    rows = s * b * h / (t if sequence_parallel else 1)
    core = 2 * s * b * h / t if recompute == "selective" else 5 * a * s * s * b / t
    return 2 * rows + core


def check_memory(lockstep, bar):
    print(f"\nMemory per GPU, Korthikanti et al., Figure 1\n{'':40}{'published':>12}{'predicted':>12}"
          f"{'error %':>9}{'Calculon %':>12}")
    sizes = {row["model"]: row for row in rows_of("korthikanti2022_table5_a100.csv")}
    known, errors = {}, []
    for row in rows_of("korthikanti2022_fig1_memory.csv"):
        job = sizes[row["model"]] | {"vp": row["vp"]}
        selective = row["quantity"] == "activations_seqpar_selective"
        how = ("selective", True) if selective else ("none", False)
        if (row["model"], how) not in known:
            known[row["model"], how] = run(lockstep, "predict", *korthikanti_job(job, *how))
        parts = known[row["model"], how]["memory_breakdown"]
        if row["quantity"] == "params_grads_optimizer":
            # The paper's figure is the mean over GPUs: values of 2 bytes tell how many this one has.
            size = parts["parameters"] + parts["gradients"] + parts["optimizer"]
            size *= known[row["model"], how]["parameters"] / int(row["gpus"]) / (parts["parameters"] / 2)
        else:
            size = parts["activations"] + parts["buffers"]
            size += layers_stored(job) * kept_besides(job, *how)
        published = float(row["published_GiB"])
        errors.append(100 * (size / GIB / published - 1))
        print(f"{row['model']:14}{row['quantity']:26}{published:12.2f}{size / GIB:12.2f}"
              f"{errors[-1]:9.1f}{float(row['calculon_error_pct']):12.1f}")
    size = mean([abs(e) for e in errors])
    print(f"mean of absolute errors {size:.2f} %, largest {max(map(abs, errors)):.1f} %; "
          f"the bar is {bar} %")
    return size <= bar


def layout_key(layout):
    return tuple(layout.get(k) for k in ("data", "tensor", "pipeline", "micro", "chunks", "recompute",
                                         "sequence_parallel", "zero"))


def check_plan(lockstep, jobs):
    print("\nThe published layout against the best that plan finds")
    good = True
    for name, keys, ranks, _, _ in jobs:
        layouts = run(lockstep, "plan", keys, ranks)
        wanted = (int(keys["parallel.data"]), int(keys["parallel.tensor"]),
                  int(keys["parallel.pipeline"]), int(keys["batch.micro"]),
                  int(keys["parallel.chunks"]), keys["parallel.recompute"],
                  keys["parallel.sequence_parallel"] == "true", 0)
        keys = keys | {"parallel.schedule": "1f1b", "parallel.chunks": 1}
        fitting = [p for p in layouts if p["fits"]]
        own = [p for p in fitting if layout_key(p["layout"]) == wanted]
        if not own:
            print(f"{name:24} the published layout does not fit or is not listed")
            good = False
            continue
        ratio = own[0]["step_seconds"] / fitting[0]["step_seconds"]
        good = good and ratio <= 1.1
        print(f"{name:24} {len(layouts):6} layouts, published {own[0]['step_seconds']:.3f} s, "
              f"best {fitting[0]['step_seconds']:.3f} s ({100 * (ratio - 1):.1f} % more): "
              f"{fitting[0]['layout']}")
    return good


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--lockstep", default=str(ROOT / "build/release/bin/lockstep"))
    parser.add_argument("--plan", action="store_true", help="rank all layouts of each row, too")
    parser.add_argument("--verbose", action="store_true", help="where the seconds go")
    options = parser.parse_args()

    narayanan = [(row["params_B"] + " B", *narayanan_job(row), float(row["step_s_derived"]), "")
                 for row in rows_of("narayanan2021_table1_a100.csv")]
    korthikanti = [(row["model"] + " " + row["recompute"], *korthikanti_job(row),
                    float(row["measured_s"]), row["calculon_error_pct"])
                   for row in rows_of("korthikanti2022_table5_a100.csv")]
    good = [check_steps(options.lockstep, "Narayanan et al. 2021, Table 1 (Calculon: 9.5 % on average)",
                        narayanan, 9, options.verbose),
            check_steps(options.lockstep, "Korthikanti et al. 2022, Table 5 (Calculon: 3.65 %)",
                        korthikanti, 6, options.verbose),
            check_memory(options.lockstep, 5)]
    if options.plan:
        good.append(check_plan(options.lockstep, narayanan + korthikanti))
    sys.exit(0 if all(good) else 1)


if __name__ == "__main__":
    main()
