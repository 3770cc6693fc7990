#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""models_test.py LOCKSTEP EXAMPLES: the subcommands that model a job without running it."""
import json
import subprocess
import sys
import tempfile
import unittest
from pathlib import Path

LOCKSTEP, EXAMPLES = sys.argv[1:3]
JOB = str(Path(EXAMPLES) / "gpt-small.toml")


def run(*args):
    return subprocess.run([LOCKSTEP, *args], capture_output=True, text=True, timeout=60)


def run_json(*args):
    done = run(*args, "--json")
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


class Roofline(unittest.TestCase):
    def test_every_kernel_has_a_roof(self):
        text = run("roofline", JOB, "--machine", "cpu").stdout
        for part in ("linear", "compute", "memory", "FLOPs per byte", "parallelism"):
            self.assertIn(part, text)
        report = run_json("roofline", JOB, "--machine", "cpu", "--ranks", "4")
        for kernel in report["kernels"]:
            least = max(kernel["flops"] / report["peak_flops"], kernel["bytes"] / report["memory_bandwidth"])
            self.assertAlmostEqual(kernel["attainable_seconds"] / least if least else 1, 1)
        self.assertEqual([link["level"] for link in report["links"]], ["inside", "across"])

    def test_the_plot_is_drawn_or_its_absence_explained(self):
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "roof.svg"
            text = run("roofline", JOB, "--machine", "a100", "--plot", str(path)).stdout
            self.assertTrue("gnuplot-nox" in text or "<svg" in path.read_text())

    def test_mistakes_are_one_line(self):
        cases = {"neither a file nor one of a100": ["roofline", JOB, "--machine", "a10"],
                 "lacks peak_flops": ["roofline", JOB, "--machine", "cpu", "--set", "job.precision=bfloat16"],
                 "no trace can be read": ["roofline", JOB, "--machine", "cpu", "--trace", "/nowhere"]}
        for expected, args in cases.items():
            done = run(*args)
            self.assertEqual(done.returncode, 2, done.stderr)
            self.assertEqual(len(done.stderr.splitlines()), 1, done.stderr)
            if "precision" not in " ".join(args):
                self.assertIn(expected, done.stderr)


class Plan(unittest.TestCase):
    def test_layouts_are_ranked_and_predicted(self):
        layouts = run_json("plan", JOB, "--machine", "a100", "--ranks", "4")
        self.assertTrue(all(entry["fits"] for entry in layouts))
        seconds = [entry["step_seconds"] for entry in layouts]
        self.assertEqual(seconds, sorted(seconds))
        self.assertEqual({entry["layout"]["micro"] for entry in layouts}, {1, 2, 4, 8})
        self.assertEqual({entry["layout"]["tensor"] for entry in layouts}, {1, 2})  # of 6 heads
        whole = next(e for e in layouts if e["layout"]["data"] == 4 and e["layout"]["zero"] == 0)
        for entry, tolerance in ((layouts[0], 0.1), (whole, 1e-6)):  # what is cut is priced from its parts
            layout = entry["layout"]
            keys = {f"parallel.{key}": layout[key] for key in
                    ("data", "tensor", "pipeline", "chunks", "schedule", "zero", "recompute", "bucket_mb")}
            keys |= {"parallel.sequence_parallel": str(layout["sequence_parallel"]).lower(),
                     "batch.micro": layout["micro"], "collectives.algorithm": layout["algorithm"]}
            sets = [word for key, value in keys.items() for word in ("--set", f"{key}={value}")]
            predicted = run_json("predict", JOB, "--machine", "a100", "--ranks", "4", *sets)
            self.assertLess(abs(predicted["step_seconds"] / entry["step_seconds"] - 1), tolerance)

    def test_what_does_not_fit_is_rejected_with_the_reason(self):
        with tempfile.TemporaryDirectory() as folder:
            text = Path(EXAMPLES, "../../perfmodels/machines/cpu.toml").read_text()
            small = Path(folder) / "small.toml"
            small.write_text("".join("memory_bytes = 1e6\n" if line.startswith("memory_bytes") else line
                                     for line in text.splitlines(True)))
            layouts = run_json("plan", JOB, "--machine", str(small), "--ranks", "2")
            shown = run("plan", JOB, "--machine", str(small), "--ranks", "2")
        self.assertFalse(any(entry["fits"] for entry in layouts))
        self.assertIn("a device has 0.0 GiB", layouts[0]["reason"])
        sizes = [entry["memory_bytes"] for entry in layouts]
        self.assertEqual(sizes, sorted(sizes))  # what lacks least comes first
        self.assertEqual({entry["step_seconds"] for entry in layouts}, {None})
        self.assertIn("rejected: data 1, tensor 2", shown.stdout)

    def test_impossible_rank_counts_are_one_line(self):
        done = run("plan", JOB, "--machine", "cpu", "--ranks", "7")
        self.assertEqual((done.returncode, len(done.stderr.splitlines())), (2, 1), done.stderr)
        self.assertIn("no layout of 7 ranks is valid", done.stderr)


class Scaling(unittest.TestCase):
    def test_curves_have_points_laws_and_words(self):
        strong, weak = run_json("scaling", JOB, "--machine", "cpu", "--ranks", "1,2,4,8,1024")
        self.assertEqual([s["ranks"] for s in strong["steps"]], [1, 2, 4, 8])
        self.assertEqual([s["ranks"] for s in strong["skipped"]], [1024])
        self.assertEqual([s["ranks"] for s in weak["steps"]], [1, 2, 4, 8, 1024])
        self.assertEqual([law["law"] for law in weak["laws"]], ["Gustafson", "Universal Scalability Law"])
        text = run("scaling", JOB, "--machine", "cpu", "--ranks", "1,2,4,8").stdout
        for part in ("not calibrated", "Strong scaling: 8", "serial share", "contention", "efficiency"):
            self.assertIn(part, text)

    def test_the_last_line_says_how_many_nodes_the_job_deserves(self):
        words = ("scaling", JOB, "--machine", "a100", "--set", "batch.global=64", "--nodes", "1,2,4,8")
        strong, _ = run_json(*words, "--efficiency", "0.9")
        steps = {s["nodes"]: s for s in strong["steps"]}
        self.assertEqual([(s["nodes"], s["ranks"]) for s in strong["steps"]], [(1, 8), (2, 16), (4, 32), (8, 64)])
        best = max(n for n, s in steps.items() if s["efficiency"] >= 0.9)
        self.assertEqual(strong["deserves"], {"nodes": best, "ranks": 8 * best, "least_efficiency": 0.9})
        for n, s in steps.items():
            self.assertAlmostEqual(s["node_hours"], 100 * s["step_seconds"] * n / 3600)
        last = run(*words, "--efficiency", "0").stdout.splitlines()[-1]
        self.assertIn("The job deserves 8 nodes (64 ranks): of these counts the most with an efficiency of at least 0 %", last)
        self.assertIn(f"Its {100} steps take", last)
        wrong = run(*words, "--ranks", "8")
        self.assertEqual((wrong.returncode, len(wrong.stderr.splitlines())), (2, 1), wrong.stderr)


def descriptor():
    """The messages of et_def.proto that we write, for python3-protobuf; None where it is missing."""
    try:
        from google.protobuf import descriptor_pb2, descriptor_pool, message_factory
    except ImportError:
        return None
    kinds = descriptor_pb2.FieldDescriptorProto
    file = descriptor_pb2.FileDescriptorProto(name="et.proto", package="et", syntax="proto3")

    def message(name, *fields):
        made = file.message_type.add(name=name)
        for number, field, kind, repeated in fields:
            one = made.field.add(name=field, number=number, label=3 if repeated else 1)
            if isinstance(kind, str):
                one.type, one.type_name = kinds.TYPE_MESSAGE, f".et.{kind}"
            else:
                one.type = kind

    message("AttributeProto", (1, "name", kinds.TYPE_STRING, False), (7, "int32_val", kinds.TYPE_INT32, False),
            (9, "int64_val", kinds.TYPE_INT64, False), (13, "uint64_val", kinds.TYPE_UINT64, False),
            (27, "bool_val", kinds.TYPE_BOOL, False), (29, "string_val", kinds.TYPE_STRING, False))
    message("GlobalMetadata", (1, "version", kinds.TYPE_STRING, False), (2, "attr", "AttributeProto", True))
    message("Node", (1, "id", kinds.TYPE_UINT64, False), (2, "name", kinds.TYPE_STRING, False),
            (3, "type", kinds.TYPE_INT32, False), (5, "data_deps", kinds.TYPE_UINT64, True),
            (7, "duration_micros", kinds.TYPE_UINT64, False), (10, "attr", "AttributeProto", True))
    pool = descriptor_pool.DescriptorPool()
    pool.Add(file)
    make = getattr(message_factory, "GetMessageClass", None)  # of protobuf 4.22 and later
    make = make or message_factory.MessageFactory(pool).GetPrototype
    return {n: make(pool.FindMessageTypeByName(f"et.{n}")) for n in ("GlobalMetadata", "Node")}


def messages(data):
    """Splits what is delimited by varint lengths."""
    at = 0
    while at < len(data):
        size = shift = 0
        while True:
            byte = data[at]
            at += 1
            size |= (byte & 127) << shift
            shift += 7
            if byte < 128:
                break
        yield data[at:at + size]
        at += size


class Export(unittest.TestCase):
    def test_chakra_traces_are_read_by_protobuf(self):
        kinds = descriptor()
        if kinds is None:
            self.skipTest("needs python3-protobuf")
        with tempfile.TemporaryDirectory() as folder:
            prefix = str(Path(folder) / "step")
            done = run("export", JOB, "--ranks", "4", "--chakra", prefix)
            self.assertEqual(done.returncode, 0, done.stderr)
            self.assertEqual(len(list(Path(folder).iterdir())), 4)
            first, *rest = messages(Path(prefix + ".3.et").read_bytes())
        metadata = kinds["GlobalMetadata"].FromString(first)
        self.assertEqual({a.name: a.int64_val for a in metadata.attr}["rank"], 3)
        nodes = [kinds["Node"].FromString(m) for m in rest]
        flops = sum(a.int64_val for n in nodes for a in n.attr if a.name == "num_ops")
        dry = run_json("train", JOB, "--set", "job.device=dry", "--set", "parallel.data=4")
        self.assertLess(abs(flops / dry["flops"] - 1), 1e-6)
        reduced = [n for n in nodes if n.type == 7]
        self.assertTrue(reduced and all(n.data_deps for n in reduced))
        seen = set()
        for node in nodes:
            self.assertTrue(set(node.data_deps) <= seen)
            seen.add(node.id)


if __name__ == "__main__":
    unittest.main(argv=sys.argv[:1])
