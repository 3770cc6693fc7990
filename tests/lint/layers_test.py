#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""The lint must find what it is for: each case breaks one rule of a good tree, and exactly that is said."""

import shutil
import subprocess
import sys
import tempfile
import unittest
from pathlib import Path

HERE = Path(__file__).parent
SPDX = "// SPDX-License-Identifier: Apache-2.0\n"
GOOD = {
    "runtime/CMakeLists.txt": "# SPDX-License-Identifier: Apache-2.0\nlockstep_library(runtime SOURCES nn/a.cpp)\n",
    "runtime/base/a.hpp": SPDX + "#pragma once\n#if defined(X)\n#endif\n",
    "runtime/nn/a.cpp": SPDX + '#include <vector>\n#include "runtime/base/a.hpp"\n',
    "collectives/a.hpp": SPDX + '#include "runtime/base/a.hpp"\n',
    "parallelism/a.hpp": SPDX + '#include "collectives/a.hpp"\n',
    "models/CMakeLists.txt": "# SPDX-License-Identifier: Apache-2.0\nlockstep_library(models LINKS lockstep_parallelism)\n",
    "models/a.hpp": SPDX + '#include "parallelism/a.hpp"\n',
    "tests/support/catch.hpp": SPDX + "#if X\n#include <catch2/catch.hpp>\n#endif\n",
    "tests/support/mpirun": "#!/bin/sh\n# SPDX-License-Identifier: Apache-2.0\n",
    "build/junk.cpp": '#include "nothing"\n',
}


class Lint(unittest.TestCase):
    def setUp(self):
        self.root = Path(tempfile.mkdtemp(prefix="lockstep-lint-"))
        self.addCleanup(shutil.rmtree, self.root)
        for path, text in GOOD.items():
            self.write(path, text)
        self.write("tests/lint/layers.txt", (HERE / "layers.txt").read_text())

    def write(self, path, text):
        (self.root / path).parent.mkdir(parents=True, exist_ok=True)
        (self.root / path).write_text(text)

    def run_lint(self):
        command = [sys.executable, HERE / "layers.py", self.root]
        return subprocess.run(command, capture_output=True, text=True)

    def expect_only(self, finding):
        result = self.run_lint()
        self.assertEqual(result.stdout.splitlines(), [finding], result.stderr)
        self.assertEqual(result.returncode, 1)

    def test_good_tree_is_silent(self):
        result = self.run_lint()
        self.assertEqual((result.returncode, result.stdout, result.stderr), (0, "", ""))

    def test_layer_above(self):
        self.write("collectives/a.hpp", SPDX + '#include "parallelism/a.hpp"\n')
        self.expect_only("collectives/a.hpp:2: folder collectives may not include folder parallelism (collectives: runtime)")

    def test_skipped_layer(self):
        self.write("models/a.hpp", SPDX + '\n#  include "collectives/a.hpp"\n')
        self.expect_only("models/a.hpp:3: folder models may not include folder collectives (models: runtime parallelism)")

    def test_order_inside_runtime(self):
        self.write("runtime/base/a.hpp", SPDX + '#include "runtime/tensor/a.hpp"\n')
        self.write("runtime/tensor/a.hpp", SPDX)
        self.expect_only("runtime/base/a.hpp:2: folder runtime/base may not include folder runtime/tensor (runtime/base: only itself)")

    def test_forbidden_link(self):
        self.write("models/CMakeLists.txt", GOOD["models/CMakeLists.txt"].replace("parallelism", "collectives"))
        self.expect_only("models/CMakeLists.txt:2: folder models may not link folder collectives (models: runtime parallelism)")

    def test_folder_without_row(self):
        self.write("utilities/a.hpp", SPDX)
        self.expect_only("utilities/a.hpp:1: this folder has no row in tests/lint/layers.txt")

    def test_include_beside_the_file(self):
        self.write("models/a.hpp", SPDX + '#include "a.hpp"\n')
        self.expect_only('models/a.hpp:2: "a.hpp" is no file below the repository root')

    def test_ours_in_angle_brackets(self):
        self.write("models/a.hpp", SPDX + "#include <parallelism/a.hpp>\n")
        self.expect_only('models/a.hpp:2: <parallelism/a.hpp> is ours: write "parallelism/a.hpp"')

    def test_catch_outside_of_support(self):
        self.write("tests/models/a.hpp", SPDX + "#include <catch2/catch_all.hpp>\n")
        self.expect_only("tests/models/a.hpp:2: <catch2/catch_all.hpp> may be included only below tests/support (<catch2/)")

    def test_branch(self):
        self.write("models/a.hpp", SPDX + "#ifdef __CUDACC__\n#endif\n")
        self.expect_only("models/a.hpp:2: #ifdef is not allowed here: let CMake choose one of two files")

    def test_missing_spdx(self):
        self.write("models/a.hpp", "#pragma once\n")
        self.expect_only("models/a.hpp:1: the first line must be '// SPDX-License-Identifier: Apache-2.0' or '# SPDX-License-Identifier: Apache-2.0'")

    def test_missing_spdx_of_a_script(self):
        self.write("tests/support/mpirun", "#!/bin/sh\nexec true\n")
        self.expect_only("tests/support/mpirun:1: the first line must be '// SPDX-License-Identifier: Apache-2.0' or '# SPDX-License-Identifier: Apache-2.0'")

    def test_source_that_is_never_compiled(self):
        self.write("runtime/CMakeLists.txt", GOOD["runtime/CMakeLists.txt"].replace("nn/a.cpp", "# nn/a.cpp"))
        self.expect_only("runtime/nn/a.cpp:1: this source is in no CMakeLists.txt of its folder or above")

    def test_sources_chosen_by_a_variable(self):
        self.write("runtime/CMakeLists.txt", GOOD["runtime/CMakeLists.txt"].replace("nn/a.cpp", "nn/${WHICH}_a.cpp"))
        self.expect_only("runtime/nn/a.cpp:1: this source is in no CMakeLists.txt of its folder or above")
        (self.root / "runtime/nn/a.cpp").rename(self.root / "runtime/nn/onednn_a.cpp")
        self.test_good_tree_is_silent()


if __name__ == "__main__":
    unittest.main()
