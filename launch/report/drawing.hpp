// SPDX-License-Identifier: Apache-2.0
// A chart drawn into a page: the SVG stays beside it as a file of its own, for papers.
#pragma once

#include <filesystem>
#include <fstream>
#include <iterator>
#include <string>

#include "launch/report/charts.hpp"
#include "launch/report/page.hpp"
#include "perfmodels/plot.hpp"

namespace lockstep {

class Drawing {
 public:
  // Figures go to `dir`/figures.
  explicit Drawing(std::string dir) : dir_(std::move(dir) + "/figures") {
    std::filesystem::create_directories(dir_);
  }

  template <class Chart>
  void add(Page& page, const Chart& chart, const std::string& name, const std::string& caption) {
    const std::string path = dir_ + "/" + name + ".svg";
    const Drawn drawn = draw_script(script_of(chart, path), path);
    if (drawn == Drawn::no_gnuplot) missing_ = true;
    std::ifstream file(path);
    const std::string svg =
        drawn == Drawn::yes ? std::string(std::istreambuf_iterator<char>(file), {}) : "";
    page.figure(svg, caption, told(drawn, path));
  }

  bool missing() const { return missing_; }  // there is no gnuplot

 private:
  std::string dir_;
  bool missing_ = false;
};

}  // namespace lockstep
