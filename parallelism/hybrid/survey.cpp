// SPDX-License-Identifier: Apache-2.0
#include "parallelism/hybrid/survey.hpp"

#include "parallelism/hybrid/layout.hpp"
#include "parallelism/pipeline/partition.hpp"

namespace lockstep {

namespace {

// A byte of memory traffic costs as much as so many FLOPs of a product: the balance of CPUs and of
// GPUs in float32, give or take a factor of two.
constexpr double kFlopsPerByte = 10;

double cost_of(const Recording& recording) {
  double cost = 0;
  for (const Record& r : recording.records()) {
    const Operation& o = r.operation;
    const bool product = o.kind == OperationKind::gemm || o.kind == OperationKind::attention;
    if (r.stream == StreamKind::compute && o.kind != OperationKind::phase)
      cost += product ? o.flops : kFlopsPerByte * (o.bytes_read + o.bytes_written);
  }
  return cost;
}

}  // namespace

std::vector<LayerSurvey> survey(const ModelPlan& plan, const JobConfig& job, int tensor,
                                std::int64_t samples) {
  const auto device = make_dry_device();
  Build with{.device = *device,
             .seed = 0,
             .tensor = tensor_group_of(Communicator::dry(*device, tensor, 0), job),
             .recompute = recompute_of(job)};
  const MicroBatch batch = micro_batch_of(0, samples, job.model.sequence, with.tensor);
  std::vector<std::unique_ptr<Module>> kept;  // what is shared points to its first user
  std::vector<LayerSurvey> all;
  Tensor x = Tensor::empty(*device, {batch.samples, batch.tokens}, DType::int32);
  for (const LayerSpec& spec : plan.layers) {
    kept.push_back(spec.make(with));
    const auto parameters = parameters_of(*kept.back());
    allocate_gradients(parameters);
    LayerSurvey layer;
    for (const Parameter* p : parameters)
      layer.parameters.push_back(p->name);

    Recording recording;
    device->record_into(&recording);
    Stash stash(batch);
    const Tensor y = kept.back()->forward(x, stash);
    kept.back()->backward_input(y, stash);
    device->record_into(nullptr);
    layer.cost = cost_of(recording);
    layer.columns = y.dim(-1);
    all.push_back(std::move(layer));
    x = y;
  }
  return all;
}

Cut cut_of(const JobConfig& job) {
  return job.job.software == "lockstep" ? Cut::by_cost : Cut::even_blocks;
}

std::vector<int> cut_layers(const std::vector<LayerSurvey>& layers, int parts, Cut how) {
  const int num_layers = static_cast<int>(layers.size()), blocks = num_layers - 2;
  if (how == Cut::even_blocks && blocks > 0 && blocks % parts == 0) {
    std::vector<int> cuts{0};
    for (int part = 1; part < parts; ++part)
      cuts.push_back(1 + part * (blocks / parts));
    cuts.push_back(num_layers);
    return cuts;
  }
  std::vector<double> costs;
  for (const LayerSurvey& layer : layers)
    costs.push_back(layer.cost);
  return partition(costs, parts);
}

}  // namespace lockstep
