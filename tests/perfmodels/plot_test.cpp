// SPDX-License-Identifier: Apache-2.0
#include "perfmodels/plot.hpp"

#include <fstream>
#include <sstream>

#include "runtime/base/error.hpp"
#include "tests/support/catch.hpp"
#include "tests/support/temp_dir.hpp"

using namespace lockstep;

namespace {

Plot example() {
  Plot plot{.title = "a \"title\"", .x_label = "x", .y_label = "y"};
  plot.series.push_back(
      {"kept", Series::Style::points, {{1, 2, "here_it_is"}, {0, 5, "no_logarithm"}}});
  plot.series.push_back({"", Series::Style::line, {{1, 1}, {10, 10}}});
  return plot;
}

}  // namespace

TEST_CASE("a plot's script quotes text and leaves out what a logarithm cannot show") {
  const std::string script = gnuplot_script(example(), "out.svg");
  CHECK(script.find("\"a \\\"title\\\"\"") != std::string::npos);
  CHECK(script.find("here_it_is") != std::string::npos);
  CHECK(script.find("no_logarithm") == std::string::npos);
}

TEST_CASE("labelled points are numbered from the left, those on each other in one place") {
  Plot plot{.title = "t", .x_label = "x", .y_label = "y"};
  plot.series.push_back({"kernels",
                         Series::Style::points,
                         {{1000, 5, "far"}, {1, 5, "a"}, {1.01, 5, "b"}, {1.02, 5, "c"}}});
  const std::string script = gnuplot_script(plot, "out.svg");
  CHECK(script.find("\"1  a\\n2  b\\n3  c\\n4  far\"") != std::string::npos);
  CHECK(script.find("set label \"1-3\"") != std::string::npos);
  CHECK(script.find("set label \"4\"") != std::string::npos);
}

TEST_CASE("a plot is an SVG file with its labels, or gnuplot is not there") {
  const test::TempDir folder;
  const std::string path = folder.path("out.svg");
  const Drawn drawn = draw(example(), path);
  std::ifstream file(path);
  std::stringstream text;
  text << file.rdbuf();
  if (drawn == Drawn::yes) {
    CHECK(text.str().find("<svg") != std::string::npos);
    CHECK(text.str().find("here_it_is") != std::string::npos);
    CHECK_THROWS_AS(draw(example(), folder.path("no/such/folder.svg")), SystemError);
    CHECK_THROWS_AS(draw(example(), "/dev/full"), SystemError);  // gnuplot's status is 0
  } else {
    CHECK(told(drawn, path).find("gnuplot-nox") != std::string::npos);
  }
}
