// SPDX-License-Identifier: Apache-2.0
#include "runtime/base/shared_library.hpp"

#include "runtime/base/error.hpp"
#include "tests/support/catch.hpp"

using namespace lockstep;

TEST_CASE("functions of a library are found by name, in the first file that opens", "[unit]") {
  const SharedLibrary library("mathematics", {"libno-such-thing.so.1", "libm.so.6"});
  const auto root = library.find<double (*)(double)>("cbrt");
  CHECK(root(27.0) == Approx(3.0));
  CHECK_THROWS_WITH(library.find<void (*)()>("no_such_function"),
                    "this mathematics has no function no_such_function: it is too old");
}

TEST_CASE("a library that is missing is named, with where it was looked for", "[unit]") {
  CHECK_THROWS_AS(SharedLibrary("NoSuch", {"libno-such-thing.so.1"}), SystemError);
  CHECK_THROWS_WITH(SharedLibrary("NoSuch", {"libno-such-thing.so.1"}),
                    ContainsSubstring("NoSuch cannot be opened") &&
                        ContainsSubstring("libno-such-thing.so.1") &&
                        ContainsSubstring("LD_LIBRARY_PATH"));
}
