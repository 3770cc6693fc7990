#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Two types of one name in one namespace are one type to the linker, which keeps the functions of either:
std::vector<Piece> of the one then serves the other. Finds types that are defined in two files of the program,
outside unnamed namespaces; one line per finding, `file:line: what`.

Relies on the form that tests/lint/format gives: namespaces and types begin at the first column.

Usage: names.py [ROOT]   (default: the repository that holds this file). Exit status 1 on findings.
"""

import re
import sys
from pathlib import Path

PROGRAM = ["runtime", "collectives", "parallelism", "models", "perfmodels", "slurm", "launch"]
OPENS = re.compile(r"namespace ?([\w:]*) \{$")
CLOSES = re.compile(r"\}  // namespace")
TYPE = re.compile(r"(?:struct|class|union|enum(?: class)?) (?:alignas\([^)]*\) )?(\w+)(?: final)?(?: :.*)?(?: \{.*|:|)$")


def types_of(text):
    """(line, qualified name) of each type; of unnamed namespaces none."""
    namespaces = []
    for number, line in enumerate(text.splitlines(), 1):
        if opened := OPENS.match(line):
            namespaces.append(opened[1])
        elif CLOSES.match(line):
            namespaces.pop()
        elif (found := TYPE.match(line)) and "" not in namespaces:
            yield number, "::".join([*namespaces, found[1]])


def main():
    root = Path(sys.argv[1]) if len(sys.argv) > 1 else Path(__file__).resolve().parents[2]
    first, findings = {}, 0
    for folder in PROGRAM:
        for path in sorted(p for p in (root / folder).rglob("*") if p.suffix in {".hpp", ".cpp", ".cu"}):
            for line, name in types_of(path.read_text(encoding="utf-8")):
                place = f"{path.relative_to(root)}:{line}"
                if name in first:
                    print(f"{place}: {name} is also defined in {first[name]}: the linker takes both for one")
                    findings += 1
                first.setdefault(name, place)
    sys.exit(1 if findings else 0)


if __name__ == "__main__":
    main()
