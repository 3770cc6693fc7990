#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Predictions against measurements on shaped networks of four nodes.

  check_network.py LOCKSTEP SWITCH [--quick]       status 77 where such networks cannot be made

Calibrates on 2 + 2 ranks, then times all-reduces on 4 x 1 and 4 x 2 ranks beside what the profile predicts.
Wants: bandwidth within 2 %, delay (less 40 us of software) within 5 %, a rendezvous step; median error 5 %, p95 12 %.
--quick only holds that messages take the delay at least, and that results are right: no time is judged.
"""
import json, os, pathlib, statistics, subprocess, sys, tempfile, tomllib

HERE = pathlib.Path(__file__).resolve().parent
ALGORITHMS = "ring,recursive_doubling,halving_doubling,hierarchical"
SOFTWARE = 40e-6


def on_network(layout, delay_us, rate_mbit, *command):
    run = subprocess.run([HERE / "network", layout, str(delay_us), str(rate_mbit), *command], capture_output=True,
                         text=True, env={**os.environ, "LOCKSTEP_SWITCH": sys.argv[2]})
    if run.returncode == 77:
        print(run.stderr.strip())
        sys.exit(77)
    if run.returncode != 0:
        sys.exit(f"{' '.join(map(str, command))}: status {run.returncode}\n{run.stdout}{run.stderr}")
    return run.stdout


def bench(layout, delay_us, rate_mbit, algorithms, *options):
    return json.loads(on_network(layout, delay_us, rate_mbit, sys.argv[1], "bench", "all_reduce", "--json", "--backend",
                                 "native", "--memory", "plain", "--algorithm", algorithms, *options))


def quick():
    delay = 5000
    rows = bench("2+1", delay, 50, "ring,hierarchical_leader", "--sizes", "4K", "--repetitions", "3", "--built-in")
    assert [r["algorithm"] for r in rows] and all((r["ranks"], r["nodes"]) == (3, 2) for r in rows), rows
    for row in rows:
        print(f"{row['algorithm']}: {row['median_seconds'] * 1e3:.1f} ms")
        assert row["median_seconds"] > 0.9 * delay * 1e-6, "no message between nodes can be faster"


def check_link(profile, delay_us, rate_mbit):
    link = next(l for l in tomllib.loads(profile.read_text())["link"] if l["level"] == "across")
    value = lambda x: x[0] if isinstance(x, list) else x
    segments = link["segment"]
    latency, beta = value(segments[0]["alpha"]), value(segments[-1]["beta"])
    rate_error = 8e-6 / beta / rate_mbit - 1
    delay_error = (latency - SOFTWARE) / (delay_us * 1e-6) - 1
    step = link.get("rendezvous_bytes", 0)
    print(f"{delay_us} us, {rate_mbit} Mbit/s: rate {rate_error:+.1%}, delay {delay_error:+.1%}, "
          f"rendezvous from {step} bytes")
    return abs(rate_error) <= 0.02 and abs(delay_error) <= 0.05 and step > 0


def full():
    good, errors, noise = True, [], []
    for delay, rate in ((1000, 100), (5000, 50)):
        with tempfile.TemporaryDirectory() as folder:
            profile = pathlib.Path(folder) / "shaped.toml"
            on_network("2+2", delay, rate, sys.argv[1], "calibrate", "--output", profile)
            good &= check_link(profile, delay, rate)
            for layout in ("1+1+1+1", "2+2+2+2"):
                names = ALGORITHMS if layout[0] == "2" else ALGORITHMS.replace(",hierarchical", "")
                for row in bench(layout, delay, rate, names, "--sizes", "4K:4M", "--repetitions", "9",
                                 "--machine", profile):
                    error = row["predicted_seconds"] / row["median_seconds"] - 1
                    errors.append(error)
                    noise.append(row["spread_seconds"] / row["median_seconds"] / 2)
                    print(f"  {layout} {row['algorithm']} {row['bytes']}: {row['median_seconds'] * 1e3:.2f} ms, "
                          f"predicted {error:+.1%}")
    sizes = sorted(map(abs, errors))
    median, p95 = statistics.median(sizes), sizes[int(0.95 * (len(sizes) - 1))]
    print(f"n {len(sizes)}, mean {statistics.mean(sizes):.1%}, median {median:.1%}, p95 {p95:.1%}, max {sizes[-1]:.1%}, "
          f"signed median {statistics.median(errors):+.1%}, noise floor {statistics.median(noise):.1%}")
    return good and median <= 0.05 and p95 <= 0.12


if __name__ == "__main__":
    sys.exit(quick() if "--quick" in sys.argv else 0 if full() else 1)
