# SPDX-License-Identifier: Apache-2.0
"""What check_simulated.py found: a table for each platform and rank count, judged, and the largest errors."""
import dataclasses, statistics

# Several messages of one rank on one path: where SimGrid shares its rate, a queue is faster.
SEVERAL_ON_A_PATH = {("all_reduce", "double_tree"), ("broadcast", "chain")}


@dataclasses.dataclass
class Point:
    platform: str
    ranks: int
    case: tuple            # collective, algorithm, bytes; or "pipeline", step, bytes
    profile: float         # errors
    queue: float

    def named(self):
        return f"{self.case[0]}/{self.case[1]} of {self.case[2]} bytes"


def p95_of(sizes):
    return sorted(sizes)[min(len(sizes) - 1, int(0.95 * len(sizes)))]


class Judge:
    """By the profile's rule. Flat: each point within 1 %. Elsewhere, beyond the 16 ranks of a calibration: median
    8 %, p95 20 %."""

    def __init__(self):
        self.good = True

    def of(self, platform, rule, ranks, points):
        if rule != "profile":
            return "not judged: the profile says otherwise"
        errors = [abs(p.profile) for p in points]
        if platform == "flat":
            return self.verdict(max(errors) <= 0.01, "each of %d within 1 %%" % len(errors))
        if ranks <= 16:
            return "not judged: calibrated"
        return self.verdict(statistics.median(errors) <= 0.08 and p95_of(errors) <= 0.20, "median 8 %, p95 20 %")

    def verdict(self, holds, text):
        self.good &= holds
        return ("holds:  " if holds else "MISSED: ") + text


def row(title, points, rule, judged):
    errors = [getattr(p, rule) for p in points]
    sizes = [abs(e) for e in errors]
    print(f"{title:32} {len(sizes):4} {statistics.median(sizes):8.2%} {p95_of(sizes):8.2%} {max(sizes):8.2%} "
          f"{statistics.median(errors):+8.2%}   {judged}")


def largest(points, rule):
    found = sorted((p for p in points if abs(getattr(p, rule)) > 0.005), key=lambda p: -abs(getattr(p, rule)))[:3]
    if found:
        print("     largest: " + "; ".join(f"{getattr(p, rule):+.2%} {p.named()}" for p in found))


def tables(platforms, points, sharing):
    """sharing[platform]: the rule that its profile says. True if all that is judged holds."""
    judge = Judge()
    print("absolute errors of replayed seconds against simulated ones, whose noise is 0; signed: the median with sign")
    for platform in platforms:
        there = [p for p in points if p.platform == platform]
        print(f"\n{platform + ', rule':25}  ranks {'n':>5} {'median':>8} {'p95':>8} {'max':>8} {'signed':>8}   judged")
        for rule, title in (("profile", f"profile ({sharing[platform]})"), ("queue", "queue")):
            for ranks in sorted({p.ranks for p in there}):
                some = [p for p in there if p.ranks == ranks]
                row(f"  {title:23} {ranks:6}", some, rule, judge.of(platform, rule, ranks, some))
                largest(some, rule)
            scaled = [p for p in there if p.ranks > 16]
            row(f"  {title:23} {'>= 64':>6}", scaled, rule, judge.of(platform, rule, 64, scaled))
    print()
    return judge.good


def explain_sharing(points, paths):
    for platform, path in paths.items():
        alone, first, second = (1e6 * t for t in path)
        print(f"{platform}: of two messages of 512 KiB at once on one path the first arrives after {first:.1f} us, "
              f"the second after {second:.1f}; one alone after {alone:.1f}")
    told = [p for p in points if p.platform == "flat" and p.case[:2] in SEVERAL_ON_A_PATH and abs(p.queue) > 0.01]
    if told:
        print("so on flat, queue -> profile: " + "; ".join(
            f"{p.case[1]} of {p.case[2]} bytes, {p.ranks} ranks {p.queue:+.1%} -> {p.profile:+.2%}" for p in told))
