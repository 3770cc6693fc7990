// SPDX-License-Identifier: Apache-2.0
#include "parallelism/hybrid/stage.hpp"

#include <algorithm>
#include <set>

#include "parallelism/hybrid/layout.hpp"

namespace lockstep {

namespace {

// The ranks of the first and of the last stage make a group, every other rank one by itself.
Communicator ends_of(const Communicator& stages) {
  const int last = stages.size() - 1;
  return stages.split("tied", [last](int rank) { return rank == last ? 0 : rank; });
}

}  // namespace

Stage::Stage(const ModelPlan& plan, const Mesh& mesh, Device& device, const JobConfig& job,
             std::int64_t micro_samples)
    : tensor_(tensor_group_of(mesh.tensor(), job)),
      tied_(ends_of(mesh.pipeline())),
      survey_(survey(plan, job, mesh.tensor().size(), micro_samples)),
      tied_name_(plan.tied) {
  for (const LayerSurvey& layer : survey_) {
    for (const std::string& name : layer.parameters)
      index_.emplace(name, num_model_parameters());
  }
  Build with{.device = device,
             .seed = static_cast<std::uint64_t>(job.job.seed),
             .tensor = tensor_,
             .recompute = recompute_of(job)};
  build(plan, cut_layers(survey_, mesh.pipeline().size() * job.parallel.chunks, cut_of(job)), mesh,
        with);
}

void Stage::build(const ModelPlan& plan, const std::vector<int>& cuts, const Mesh& mesh,
                  Build& with) {
  const int stages = mesh.pipeline().size(), stage = mesh.pipeline().rank();
  const ValuesLater later;
  for (int part = stage; part + 1 < static_cast<int>(cuts.size()); part += stages) {
    std::vector<std::unique_ptr<Module>> layers;
    const auto first = static_cast<std::size_t>(cuts[static_cast<std::size_t>(part)]);
    const auto end = static_cast<std::size_t>(cuts[static_cast<std::size_t>(part) + 1]);
    for (std::size_t i = first; i < end; ++i)
      layers.push_back(plan.layers[i].make(with));
    first_layer_.push_back(static_cast<int>(first));
    chunks_.push_back(std::make_unique<nn::Sequential>(std::move(layers)));
  }
  for (const LayerParameters& layer : layer_parameters())
    parameters_.insert(parameters_.end(), layer.parameters.begin(), layer.parameters.end());
  holds_copy_ = stage > 0 && !tied_name_.empty() &&
                std::any_of(parameters_.begin(), parameters_.end(),
                            [&](const Parameter* p) { return p->name == tied_name_; });
}

std::vector<PipelineChunk> Stage::chunks() const {
  std::vector<PipelineChunk> all;
  for (std::size_t c = 0; c < chunks_.size(); ++c) {
    const auto first = static_cast<std::size_t>(first_layer_[c]);
    const std::size_t end = first + chunks_[c]->layers().size();
    all.push_back({.layers = chunks_[c].get(),
                   .input_columns = first > 0 ? survey_[first - 1].columns : 0,
                   .output_columns = survey_[end - 1].columns});
  }
  return all;
}

std::vector<LayerParameters> Stage::layer_parameters() const {
  std::vector<LayerParameters> all;
  std::set<const Parameter*> listed;
  for (const auto& chunk : chunks_) {
    for (const auto& layer : chunk->layers()) {
      all.push_back({layer.get(), {}});
      for (Parameter* p : parameters_of(*layer)) {
        if (listed.insert(p).second) all.back().parameters.push_back(p);
      }
    }
  }
  return all;
}

std::vector<EarlierSum> Stage::earlier_sums() const {
  std::vector<EarlierSum> sums;
  for (Parameter* p : parameters_) {
    if (p->sum == GradientSum::over_tensor) sums.push_back({p, tensor_.ranks()});
    if (p->name == tied_name_ && tied_.size() > 1) sums.push_back({p, tied_});
  }
  return sums;
}

std::int64_t Stage::index_of(const Parameter& parameter) const {
  return index_.at(parameter.name);
}

bool Stage::speaks_for(const Parameter& p) const {
  const bool copied = p.part.whole() && tensor_.rank() > 0;
  return !copied && !(holds_copy_ && p.name == tied_name_);
}

}  // namespace lockstep
