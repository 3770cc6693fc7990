// SPDX-License-Identifier: Apache-2.0
// The part of a model that one rank holds: its chunks of layers, cut from the plan by cost, built
// for its place on the mesh; and what the gradients of its parameters have in common with other
// ranks.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "parallelism/data/data_parallel.hpp"
#include "parallelism/hybrid/survey.hpp"
#include "parallelism/mesh/mesh.hpp"
#include "parallelism/pipeline/executor.hpp"

namespace lockstep {

class Stage {
 public:
  // ConfigError for a layout that does not fit the model. Collective.
  Stage(const ModelPlan& plan, const Mesh& mesh, Device& device, const JobConfig& job,
        std::int64_t micro_samples);

  std::vector<PipelineChunk> chunks() const;
  const std::vector<std::unique_ptr<nn::Sequential>>& layers() const { return chunks_; }
  const std::vector<Parameter*>& parameters() const { return parameters_; }
  const TensorGroup& tensor() const { return tensor_; }

  std::vector<LayerParameters> layer_parameters() const;
  // Gradients that are not complete after backward: norms under sequence parallelism, and tied
  // embeddings whose other user is on another stage.
  std::vector<EarlierSum> earlier_sums() const;

  // Parameters of the whole model, each counted once, and the place of one among them.
  std::int64_t num_model_parameters() const { return static_cast<std::int64_t>(index_.size()); }
  std::int64_t index_of(const Parameter& parameter) const;
  // Whether this rank of its tensor and pipeline groups speaks for the parameter in norms.
  bool speaks_for(const Parameter& parameter) const;

 private:
  void build(const ModelPlan& plan, const std::vector<int>& cuts, const Mesh& mesh, Build& with);

  TensorGroup tensor_;
  Communicator tied_;  // the first and the last stage, if they share a parameter
  std::vector<LayerSurvey> survey_;
  std::vector<std::unique_ptr<nn::Sequential>> chunks_;
  std::vector<int> first_layer_;  // of each chunk
  std::vector<Parameter*> parameters_;
  std::map<std::string, std::int64_t> index_;
  std::string tied_name_;
  bool holds_copy_ = false;  // of the tied parameter, beside that of the first stage
};

}  // namespace lockstep
