#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Checks every source file against tests/lint/layers.txt; one line per finding, `file:line: what`.

- an include, or a link in a CMakeLists.txt, that the table does not allow (the message quotes the row)
- an include of ours that is not in quotes, from the repository root, of a file that exists
- a first line that is not the SPDX line (second, in a script)
- a .cpp or .cu that no CMakeLists.txt of its folder or above names
- #if and its kin, except where the table allows them

Usage: layers.py [ROOT]   (default: the repository that holds this file). Exit status 1 on findings.
"""

import functools
import re
import subprocess
import sys
from pathlib import Path, PurePosixPath

TABLE = "tests/lint/layers.txt"
SPDX = "SPDX-License-Identifier: Apache-2.0"
CODE = {".cpp", ".hpp", ".cu", ".cuh", ".h"}
COMPILED = {".cpp", ".cu"}
COMMENTED = CODE | {".py", ".sh", ".cmake", ".toml"}
SKIPPED = {".git", ".cache", "build", "runs", "__pycache__"}

INCLUDE = re.compile(r'\s*#\s*include\s*([<"])([^>"]+)[>"]')
BRANCH = re.compile(r"\s*#\s*(if|ifdef|ifndef|elif)\b")
TARGET = re.compile(r"\blockstep_([a-z]+)\b")


class Table:
    """The rows of layers.txt. Paths are compared part by part: `runtime/nn` is not above `runtime/nnx`."""

    def __init__(self, text):
        self.rows, self.external, self.branching = {}, {}, []
        for line in text.splitlines():
            if not line.strip() or line.startswith("# "):
                continue
            key, _, values = line.partition(":")
            if key == "#if":
                self.branching = values.split()
            elif key.startswith("<"):
                self.external[key[1:]] = values.split()
            else:
                self.rows[key] = values.split()

    def folder_of(self, path):
        """The longest row that holds `path`, or None."""
        held = [row for row in self.rows if below(path, row)]
        return max(held, key=len, default=None)

    def allows(self, includer, included):
        row = self.folder_of(includer)
        return any(below(included, folder) for folder in [row, *self.rows[row]])


def below(path, folder):
    return path == folder or path.startswith(folder + "/")


def source_files(root):
    """What git tracks or would track; outside of git (a tarball, a test) everything but build products."""
    if (root / ".git").exists():
        command = ["git", "-C", root, "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
        listed = subprocess.run(command, check=True, capture_output=True, text=True).stdout
        names = [name for name in listed.split("\0") if name]
    else:
        names = [p.relative_to(root).as_posix() for p in root.rglob("*")]
    paths = sorted(n for n in names if not SKIPPED & set(PurePosixPath(n).parts))
    return [path for path in paths if (root / path).is_file()]


def check_includes(root, table, path, lines):
    for number, line in enumerate(lines, 1):
        match = INCLUDE.match(line)
        if not match:
            continue
        bracket, included = match.groups()
        if bracket == "<":
            yield from check_external(root, table, path, number, included)
        elif not (root / included).is_file():
            yield number, f'"{included}" is no file below the repository root'
        elif not table.allows(path, included):
            yield number, forbidden(table, path, "include", included)


def check_external(root, table, path, number, included):
    if (root / included).is_file():
        yield number, f'<{included}> is ours: write "{included}"'
    for prefix, folders in table.external.items():
        if included.startswith(prefix) and not any(below(path, folder) for folder in folders):
            yield number, f"<{included}> may be included only below {' '.join(folders)} (<{prefix})"


def forbidden(table, includer, verb, included):
    a, b = table.folder_of(includer), table.folder_of(included) or PurePosixPath(included).parts[0]
    return f"folder {a} may not {verb} folder {b} ({a}: {' '.join(table.rows[a]) or 'only itself'})"


def check_branches(table, path, lines):
    if any(below(path, allowed) for allowed in table.branching):
        return
    for number, line in enumerate(lines, 1):
        if match := BRANCH.match(line):
            yield number, f"#{match[1]} is not allowed here: let CMake choose one of two files"


def check_links(table, path, lines):
    """A target lockstep_F is the folder F: what it links follows the row of what it includes."""
    tops = {row.split("/")[0] for row in table.rows}
    if table.folder_of(path) is None:  # the root, which has no target
        return
    for number, line in enumerate(lines, 1):
        for target in TARGET.findall(line.partition("#")[0]):
            if target in tops and not table.allows(path, target):
                yield number, forbidden(table, path, "link", target)


def check_first_line(lines):
    head = lines[1:2] if lines and lines[0].startswith("#!") else lines[:1]
    if not head or not re.fullmatch(rf"(//|#) {SPDX}", head[0]):
        yield len(lines[:1]), f"the first line must be '// {SPDX}' or '# {SPDX}'"


def check_listed(root, path):
    """A source that no CMakeLists.txt names is never compiled: it rots, and its tests never run."""
    for folder in PurePosixPath(path).parents:
        name = PurePosixPath(path).relative_to(folder).as_posix()
        if any(word.fullmatch(name) for word in sources(root / folder / "CMakeLists.txt")):
            return
    yield 1, "this source is in no CMakeLists.txt of its folder or above"


@functools.cache
def sources(cmake_file):
    """Patterns of the sources that a CMakeLists.txt names; `gemm_${LOCKSTEP_GEMM}.cpp` is any gemm_*.cpp."""
    if not cmake_file.is_file():
        return []
    lines = cmake_file.read_text(encoding="utf-8").splitlines()
    words = set(re.findall(r'[^\s()";]+\.(?:cpp|cu)\b', "\n".join(line.partition("#")[0] for line in lines)))
    return [re.compile("[^/]+".join(map(re.escape, re.split(r"\$\{\w+\}", word)))) for word in words]


def is_script(lines):
    return bool(lines) and lines[0].startswith("#!")


def check_file(root, table, path):
    suffix, name = PurePosixPath(path).suffix, PurePosixPath(path).name
    try:
        lines = (root / path).read_text(encoding="utf-8").splitlines()
    except UnicodeDecodeError:
        return  # data of a test
    if suffix in COMMENTED or name == "CMakeLists.txt" or is_script(lines):
        yield from check_first_line(lines)
    if name == "CMakeLists.txt":
        yield from check_links(table, path, lines)
    if suffix not in CODE:
        return
    if table.folder_of(path) is None:
        yield 1, f"this folder has no row in {TABLE}"
        return
    yield from check_includes(root, table, path, lines)
    yield from check_branches(table, path, lines)
    if suffix in COMPILED:
        yield from check_listed(root, path)


def main():
    root = Path(sys.argv[1] if len(sys.argv) > 1 else Path(__file__).parents[2]).resolve()
    table = Table((root / TABLE).read_text(encoding="utf-8"))
    findings = [
        f"{path}:{line}: {what}"
        for path in source_files(root)
        for line, what in check_file(root, table, path)
    ]
    print("\n".join(findings), end="\n" if findings else "")
    return 1 if findings else 0


if __name__ == "__main__":
    sys.exit(main())
