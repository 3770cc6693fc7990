#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Predictions against measurements on shaped networks of four nodes.

  check_network.py LOCKSTEP SWITCH [--quick] [--network DELAY_US,RATE_MBIT] [--shape 4x1|4x2] [--keep FOLDER]
                                                 status 77 where such networks cannot be made

Calibrates on 2 + 2 ranks, which no other part of this uses, then times all-reduces on 4 x 1 and 4 x 2 ranks, at sizes
of which only the first is one of calibration's, beside what the profile predicts from links and replay.
Wants: bandwidth within 2 %, delay (less 40 us of software) within 5 %, a rendezvous step; median error 5 %, p95 12 %.
Alone on the machine: some four minutes a network. --keep leaves profiles and measurements in FOLDER, or takes them
from there: so it can be run in pieces (--shape none: only the profile), and a changed model is judged again without measuring.

--quick judges no time: messages take the delay at least, results are right, and a calibration of ten seconds ends,
finds every figure of the link, says what it left out, and prices what it did not measure.
"""
import argparse
import json
import math
import os
import pathlib
import statistics
import subprocess
import sys
import tempfile
import tomllib

HERE = pathlib.Path(__file__).resolve().parent
NETWORKS = ("1000,100", "5000,50")
SHAPES = {"4x1": ("1+1+1+1", ("ring", "recursive_doubling", "halving_doubling")),
          "4x2": ("2+2+2+2", ("ring", "recursive_doubling", "halving_doubling", "hierarchical"))}
SOFTWARE = 40e-6
REPETITIONS = 5


def parse():
    parser = argparse.ArgumentParser()
    parser.add_argument("lockstep")
    parser.add_argument("switch")
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--network", action="append", metavar="DELAY_US,RATE_MBIT")
    parser.add_argument("--shape", action="append", choices=(*SHAPES, "none"))
    parser.add_argument("--keep", type=pathlib.Path)
    return parser.parse_args()


ARGS = parse()


def on_network(layout, network, *command):
    run = subprocess.run([HERE / "network", layout, *network.split(","), ARGS.lockstep, *map(str, command)],
                         capture_output=True, text=True, env={**os.environ, "LOCKSTEP_SWITCH": ARGS.switch})
    if run.returncode == 77:
        print(run.stderr.strip())
        sys.exit(77)
    if run.returncode != 0:
        sys.exit(f"{' '.join(map(str, command))}: status {run.returncode}\n{run.stdout}{run.stderr}")
    return run.stdout


def bench(layout, network, algorithms, *options):
    return json.loads(on_network(layout, network, "bench", "all_reduce", "--json", "--backend", "native", "--memory",
                                 "plain", "--algorithm", ",".join(algorithms), *options))


def quick():
    network, delay = "5000,50", 5e-3
    rows = bench("2+1", network, ("ring", "hierarchical_leader"), "--sizes", "4K", "--repetitions", 3, "--built-in")
    assert [r["algorithm"] for r in rows] and all((r["ranks"], r["nodes"]) == (3, 2) for r in rows), rows
    for row in rows:
        print(f"{row['algorithm']}: {row['median_seconds'] * 1e3:.1f} ms")
        assert row["median_seconds"] > 0.9 * delay, "no message between nodes can be faster"
    with tempfile.TemporaryDirectory() as folder:
        profile = pathlib.Path(folder) / "shaped.toml"
        found = json.loads(on_network("2+2", network, "calibrate", "--quick", "--json", "--output", profile))
        link = next(l for l in found["links"] if l["level"] == "across")
        assert all(link[x] and link[x]["value"] > 0 for x in ("L", "o_send", "o_recv", "g", "G")), link
        assert any("messages across" in item for item in found["left_out"]), found["left_out"]
        assert link["o_recv"]["value"] < delay / 2, "a message that has come is not waited for"
        across = next(l for l in tomllib.loads(profile.read_text())["link"] if l["level"] == "across")
        assert across["ports"] == 1, f"two pairs of ranks share an adapter, yet contention is {across['contention']}"
        print(f"{found['seconds']:.1f} s, left out: {'; '.join(found['left_out'])}")
        row, = bench("1+1+1", network, ("ring",), "--sizes", "20000:20000", "--repetitions", 3, "--machine", profile)
        assert row["predicted_seconds"] > 4 * delay, "a ring of three ranks takes four messages"


def value(figure):
    return figure[0] if isinstance(figure, list) else figure


def check_link(profile, network):
    delay_us, rate_mbit = map(float, network.split(","))
    link = next(l for l in tomllib.loads(profile.read_text())["link"] if l["level"] == "across")
    segments, step = link["segment"], link.get("rendezvous_bytes", 0)
    latency, beta = value(segments[0]["alpha"]), value(segments[-1]["beta"])
    rate = 8e-6 / beta
    rate_error, delay_error = rate / rate_mbit - 1, (latency - SOFTWARE) / (delay_us * 1e-6) - 1
    print(f"{delay_us / 1e3:g} ms, {rate_mbit:g} Mbit/s: found {rate:.2f} Mbit/s ({rate_error:+.1%}), "
          f"{latency * 1e3:.3f} ms (less 40 us {delay_error:+.1%}), rendezvous above {step:.0f} bytes", flush=True)
    return abs(rate_error) <= 0.02 and abs(delay_error) <= 0.05 and step > 0


def quantile(values, share):
    return values[max(math.ceil(share * len(values)) - 1, 0)]


def line(name, errors, noise):
    sizes = sorted(map(abs, errors))
    print(f"{name:34} {len(sizes):4} {statistics.mean(sizes):7.1%} {statistics.median(sizes):7.1%} "
          f"{quantile(sizes, 0.95):7.1%} {sizes[-1]:7.1%} {statistics.median(errors):+8.1%} "
          f"{statistics.median(noise):7.1%}", flush=True)
    return statistics.median(sizes), quantile(sizes, 0.95)


def kept(file, make):
    if not file.exists():
        make(file)
    return file


def measured(network, shape, folder):
    layout, algorithms = SHAPES[shape]
    file = kept(folder / f"{network}_{shape}.json", lambda file: file.write_text(json.dumps(bench(
        layout, network, algorithms, "--sizes", "4K:4M", "--factor", 3, "--repetitions", REPETITIONS, "--built-in"))))
    return json.loads(file.read_text())


def predicted(row, profile):
    run = subprocess.run([ARGS.lockstep, "explain", "all_reduce", "--json", "--bytes", str(row["bytes"]), "--ranks",
                          str(row["ranks"]), "--nodes", str(row["nodes"]), "--machine", profile],
                         capture_output=True, text=True, check=True)
    return next(c["predicted_seconds"] for c in json.loads(run.stdout)["candidates"]
                if c["algorithm"] == row["algorithm"])


def judge_shape(network, shape, folder, profile):
    points = {name: ([], []) for name in SHAPES[shape][1]}
    for row in measured(network, shape, folder):
        errors, noise = points[row["algorithm"]]
        errors.append(predicted(row, profile) / row["median_seconds"] - 1)
        noise.append(row["spread_seconds"] / row["median_seconds"] / 2)
        print(f"    {shape} {row['algorithm']:20} {row['bytes']:8} {row['median_seconds'] * 1e3:9.2f} ms "
              f"+- {noise[-1]:5.1%}  predicted {errors[-1]:+6.1%}")
    return points


def judge(folder):
    good, all_errors, all_noise, table = True, [], [], []
    for network in ARGS.network or NETWORKS:
        profile = kept(folder / f"{network}.toml", lambda file: on_network("2+2", network, "calibrate", "--output", file))
        good &= check_link(profile, network)
        for shape in ARGS.shape or SHAPES:
            if shape == "none":
                continue
            for name, (errors, noise) in judge_shape(network, shape, folder, profile).items():
                table.append((f"{network} {shape} {name}", errors, noise))
                all_errors += errors
                all_noise += noise
    if not table:
        return good
    print(f"{'':34} {'n':>4} {'mean':>7} {'median':>7} {'p95':>7} {'max':>7} {'signed':>8} {'noise':>7}")
    for row in table:
        line(*row)
    median, p95 = line("all", all_errors, all_noise)
    return good and median <= 0.05 and p95 <= 0.12


def full():
    if ARGS.keep:
        ARGS.keep.mkdir(parents=True, exist_ok=True)
        return judge(ARGS.keep)
    with tempfile.TemporaryDirectory() as folder:
        return judge(pathlib.Path(folder))


if __name__ == "__main__":
    sys.exit(quick() if ARGS.quick else 0 if full() else 1)
