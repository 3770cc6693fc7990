# SPDX-License-Identifier: Apache-2.0
"""The errors that check_steps.py prints: beside them the noise floor, and what three simpler answers miss by."""

import math
import statistics
import tomllib

PARTS = ("gemm", "attention", "streaming", "optimizer", "exposed_communication", "waiting")
# What the reference says of each part: products in caches, copies through memory.
FOLLOWS = {"gemm": "product", "attention": "product", "streaming": "product", "optimizer": "copy"}
LEAST_SECONDS = 1e-4  # a part that takes less is not judged
BARS = {"step": 0.05, "part": 0.20, "memory": 0.01, "covered": 0.85}


def judge(rows):
    """Prints all of it; 1 where a bar is missed."""
    missed = 0
    for row in rows:
        print(line_of(row))
    for ranks in sorted({r["ranks"] for r in rows}):
        missed += judge_ranks([r for r in rows if r["ranks"] == ranks], ranks)
    return min(missed, 1)


def judge_ranks(rows, ranks):
    print(f"\n{ranks} rank{'s' if ranks > 1 else ''}, percent{'':21} n     mean   median      p95      max   signed   bar")
    missed = [
        table("step, as predicted", [error_of(r) for r in rows], BARS["step"], statistics.mean),
        table("memory", [r["predicted"]["memory_bytes"] / r["memory"] - 1 for r in rows], BARS["memory"], max)]
    for part in PARTS:
        known = [r for r in rows if r["parts"][part] > LEAST_SECONDS]
        missed.append(table(part, [part_error(r, part) for r in known], BARS["part"], statistics.mean))
        table("  of all jobs together", [sum(r["predicted"]["breakdown"][part] for r in known)
                                         / sum(r["parts"][part] for r in known) - 1] if known else [])
        table("  corrected by machine_speed", [corrected(r, part) / r["parts"][part] - 1 for r in known if r["drift"]])
        table("  noise: last round / first", [r["part_noise"][part] for r in known if r["part_noise"]])
    shared = [r for r in rows if r["ranks"] > 1]
    if shared:
        print(f"  its 90 % band, by the skew of the ranks, holds {sum(waits_in_band(r) for r in shared)} of {len(shared)}")
    table("launch, data and all else", [rest_error(r) for r in rows if rest_of(r) > LEAST_SECONDS])
    table("step, corrected by machine_speed",
          [sum_corrected(r) / r["measured"] - 1 for r in rows if r["drift"]])
    table("noise of steps", [r["noise"] for r in rows])
    for name, answer in BASELINES.items():
        table("baseline: " + name, [answer(r, rows) / r["measured"] - 1 for r in rows])
    covered = sum(covers(r) for r in rows)
    width = statistics.median((interval(r)[1] - interval(r)[0]) / 2 / r["predicted"]["step_seconds"] for r in rows)
    holds = covered >= BARS["covered"] * len(rows)
    print(f"the 90 % interval (median half width {width:.1%}) holds {covered} of {len(rows)}"
          f"   {'holds' if holds else 'MISSED'} (bar {BARS['covered']:.0%})")
    return sum(missed) + (not holds)


def table(name, errors, bar=None, judged=None):
    """A line; whether it misses its bar."""
    if not errors:
        return False
    sizes = sorted(map(abs, errors))
    p95 = sizes[min(len(sizes), math.ceil(0.95 * len(sizes))) - 1]
    text = (f"{name:34} {len(sizes):3} {100 * statistics.mean(sizes):8.2f} {100 * statistics.median(sizes):8.2f} "
            f"{100 * p95:8.2f} {100 * sizes[-1]:8.2f} {100 * statistics.median(errors):+8.2f}")
    missed = bar is not None and judged(sizes) > bar
    if bar is not None:
        text += f"   {'MISSED' if missed else 'holds'} ({judged.__name__} {100 * bar:.0f})"
    print(text)
    return missed


def interval(row):
    return row["predicted"]["interval"] or [0, 0]


def covers(row):
    return interval(row)[0] <= row["measured"] <= interval(row)[1]


def error_of(row):
    return row["predicted"]["step_seconds"] / row["measured"] - 1


def part_error(row, part):
    return row["predicted"]["breakdown"][part] / row["parts"][part] - 1


def waits_in_band(row):
    low, high = row["predicted"]["breakdown"]["waiting_interval"]
    return low <= row["parts"]["waiting"] <= high


def rest_of(row):
    return row["measured"] - sum(row["parts"][p] for p in PARTS)


def rest_error(row):
    b = row["predicted"]["breakdown"]
    return (b["launch"] + b["data"]) / rest_of(row) - 1


def corrected(row, part):
    return row["predicted"]["breakdown"][part] * row["drift"].get(FOLLOWS.get(part), 1)


def sum_corrected(row):
    changes = sum(corrected(row, p) - row["predicted"]["breakdown"][p] for p in PARTS)
    return row["predicted"]["step_seconds"] + changes


def line_of(row):
    b = row["predicted"]["breakdown"]
    parts = " ".join(f"{p[:9]} {1e3 * b[p]:.1f}/{1e3 * row['parts'][p]:.1f}" for p in PARTS)
    drift = " ".join(f"{k} {v:.2f}" for k, v in row["drift"].items())
    return (f"{row['ranks']} ranks {'x'.join(map(str, row['job'])):17} {1e3 * row['predicted']['step_seconds']:7.1f} ms "
            f"({1e3 * interval(row)[0]:.0f}-{1e3 * interval(row)[1]:.0f}) measured {1e3 * row['measured']:7.1f} ms "
            f"{error_of(row):+6.1%} noise {row['noise']:+5.1%} {'covered' if covers(row) else 'MISSED '} | {parts} | {drift}")


# ---- Three simpler answers. ----


def flops_of(row):
    return row["predicted"]["mfu"] * row["predicted"]["step_seconds"]  # of the peak, which is the same for all


def constant_mfu(row, rows):
    """At the median MFU of the other jobs."""
    return flops_of(row) * statistics.median(r["measured"] / flops_of(r) for r in rows if r is not row)


def nearest_neighbour(row, rows):
    """As the measured job next to it, in proportion to FLOPs."""
    def distance(other):
        return sum(abs(math.log(a / b)) for a, b in zip(row["job"], other["job"]))
    other = min((r for r in rows if r is not row), key=distance)
    return other["measured"] * flops_of(row) / flops_of(other)


def closed_formula(row, _rows):
    """72 B s l h^2 (1 + s/6h + V/12lh) FLOPs at the peak; AdamW and the sum of gradients through memory."""
    with open(row["machine"], "rb") as file:
        compute = tomllib.load(file)["compute"][0]
    def value(figure):
        return figure[0] if isinstance(figure, list) else figure
    layers, hidden, _, sequence, batch = row["job"]
    vocabulary, ranks = 256, row["ranks"]
    flops = 72 * batch / ranks * sequence * layers * hidden**2 * (
        1 + sequence / (6 * hidden) + vocabulary / (12 * layers * hidden))
    parameters = 12 * layers * hidden**2 + (2 * vocabulary + sequence) * hidden
    moved = 7 * 4 * parameters + (2 * (ranks - 1) / ranks * 4 * parameters)
    return flops / value(compute["peak_flops"]) + moved / value(compute["memory_bandwidth"])


BASELINES = {"constant MFU": constant_mfu, "nearest measured neighbour": nearest_neighbour,
             "closed formula": closed_formula}
