// SPDX-License-Identifier: Apache-2.0
#include "runtime/config/keys.hpp"

#include "runtime/optim/schedule.hpp"

namespace lockstep {

namespace {

constexpr const char* kDeviceNames[] = {"auto", "cpu", "cuda", "dry"};
constexpr const char* kSoftwareNames[] = {"lockstep", "megatron-2021", "megatron-2022"};
constexpr const char* kPrecisionNames[] = {"float32", "bfloat16"};
constexpr const char* kMatmulNames[] = {"float32", "tf32"};
constexpr const char* kAttentionNames[] = {"auto", "own"};
constexpr const char* kDataNames[] = {"bytes", "tokens"};
constexpr const char* kRecomputeNames[] = {"none", "selective", "full"};
constexpr const char* kNonfiniteNames[] = {"stop", "skip"};
constexpr const char* kSpikeNames[] = {"ignore", "warn", "skip", "roll_back"};
constexpr const char* kDeterminismNames[] = {"fast", "run", "layout"};
constexpr const char* kLauncherNames[] = {"auto", "srun", "mpirun"};
constexpr const char* kRequeueNames[] = {"auto", "scontrol", "dependent", "off"};

Bounds at_least(double low) {
  return {.low = low};
}
Bounds above(double low) {
  return {.low = low, .low_open = true};
}
Bounds from_to(double low, double high) {
  return {.low = low, .high = high};
}
Bounds from_to_below(double low, double high) {
  return {.low = low, .high = high, .high_open = true};
}

Section job_keys(JobSection& job) {
  return {
      "job",
      "one run of training",
      {
          {"name", &job.name, "what the run is called"},
          {"device",
           &job.device,
           "where it runs; auto: cuda where there are GPUs; dry computes nothing and counts",
           {},
           kDeviceNames},
          {"steps", &job.steps, "optimizer steps", at_least(1)},
          {"seed", &job.seed, "of weights, data order, dropout and sampling", at_least(0)},
          {"threads", &job.threads, "per rank; 0: its share of the node's cores", at_least(0)},
          {"precision",
           &job.precision,
           "of weights and activations; bfloat16: on GPUs, sums, gradients and updates in float32",
           {},
           kPrecisionNames},
          {"matmul",
           &job.matmul,
           "how GPUs multiply float32; tf32: faster, 10 bits of mantissa",
           {},
           kMatmulNames},
          {"attention",
           &job.attention,
           "who computes it on GPUs in bfloat16; auto: cuDNN where it is there, its backward pass "
           "only with determinism = \"fast\"",
           {},
           kAttentionNames},
          {"ranks_per_gpu", &job.ranks_per_gpu, "ranks that may share a GPU; more are an error",
           at_least(1)},
          {"software",
           &job.software,
           "what predictions stand for; others than lockstep have kernels of their own",
           {},
           kSoftwareNames},
          {"determinism",
           &job.determinism,
           "same bits: run, in the same layout; layout, with every data and pipeline degree; fast: "
           "neither",
           {},
           kDeterminismNames},
          {"run_dir", &job.run_dir, "where results go; empty: runs/<name>"},
          {"target_loss", &job.target_loss, "validation loss that ends the run; 0: none",
           at_least(0)},
          {"target_accuracy", &job.target_accuracy,
           "validation accuracy (share of tokens foretold) that ends the run; 0: none",
           from_to_below(0, 1)},
          {"evaluate_every", &job.evaluate_every, "steps; 0: only at the end", at_least(0)},
          {"evaluate_batches", &job.evaluate_batches, "batches per evaluation", at_least(1)},
          {"sample_length", &job.sample_length, "tokens written at the end; 0: none", at_least(0)},
          {"sample_prompt", &job.sample_prompt, "text that the sample continues"},
          {"sample_temperature", &job.sample_temperature, "0: always the likeliest", at_least(0)},
          {"trace_steps", &job.trace_steps, "first steps written to trace.json", at_least(0)},
          {"mllog", &job.mllog, "prints the log lines of MLPerf (:::MLLOG)"},
          {"machine", &job.machine, "profile that predicts the steps; empty: no prediction"},
      },
  };
}

Section model_keys(ModelSection& model) {
  return {
      "model",
      "what is trained",
      {
          {"kind", &model.kind, "architecture"},
          {"layers", &model.layers, "blocks", at_least(1)},
          {"hidden", &model.hidden, "width", at_least(1)},
          {"heads", &model.heads, "gpt, llama: attention heads; they divide the width",
           at_least(1)},
          {"kv_heads", &model.kv_heads,
           "llama: heads of keys and values, shared by query heads; 0: as many", at_least(0)},
          {"ffn", &model.ffn,
           "width of the feed-forward layers; 0: 4 x hidden, llama: 8/3 in multiples of 32",
           at_least(0)},
          {"sequence", &model.sequence, "tokens per sample", at_least(1)},
          {"vocabulary", &model.vocabulary, "tokens known; 0: the data's", at_least(0)},
          {"dropout", &model.dropout, "share of activations dropped", from_to_below(0, 1)},
          {"tied", &model.tied, "gpt, llama: the head shares the weights of the embedding"},
          {"context", &model.context, "mlp: tokens it sees", at_least(1)},
      },
  };
}

Section data_keys(DataSection& data) {
  return {
      "data",
      "what it learns from",
      {
          {"kind", &data.kind, "bytes: any text; tokens: 16-bit .bin shards", {}, kDataNames},
          {"path", &data.path, "bytes: files and directories; tokens: shards, in order"},
          {"validation_share", &data.validation_share, "last part of the data, not trained on",
           from_to_below(0, 1)},
          {"validation_path", &data.validation_path,
           "tokens: validation shards, instead of a share"},
      },
  };
}

Section batch_keys(BatchSection& batch) {
  return {
      "batch",
      "how much per step",
      {
          {"global", &batch.global, "sequences per step over all ranks", at_least(1)},
          {"micro", &batch.micro, "sequences per micro-batch; 0: a rank's whole share",
           at_least(0)},
      },
  };
}

Section optimizer_keys(OptimizerSection& optimizer) {
  return {
      "optimizer",
      "how weights are updated",
      {
          {"kind", &optimizer.kind, "update rule"},
          {"learning_rate", &optimizer.learning_rate, "peak", above(0)},
          {"warmup_steps", &optimizer.warmup_steps, "linear rise to the peak", at_least(0)},
          {"schedule", &optimizer.schedule, "after the warm-up", {}, kScheduleNames},
          {"minimum_share", &optimizer.minimum_share, "final rate / peak", from_to(0, 1)},
          {"decay_share", &optimizer.decay_share, "wsd: last part of the steps, rate falling",
           from_to(0, 1)},
          {"weight_decay", &optimizer.weight_decay, "of matrices", at_least(0)},
          {"betas", &optimizer.betas, "adamw: what both moments keep per step",
           from_to_below(0, 1)},
          {"epsilon", &optimizer.epsilon, "adamw: added to the denominator", above(0)},
          {"momentum", &optimizer.momentum, "sgd: what it keeps per step", from_to_below(0, 1)},
          {"clip", &optimizer.clip, "largest gradient norm; 0: off", at_least(0)},
      },
  };
}

Section parallel_keys(ParallelSection& parallel) {
  return {
      "parallel",
      "degrees of the mesh; their product is the number of ranks",
      {
          {"data", &parallel.data, "copies of the model; 0: what is left", at_least(0)},
          {"tensor", &parallel.tensor, "ranks that share each layer", at_least(1)},
          {"pipeline", &parallel.pipeline, "stages of layers", at_least(1)},
          {"chunks", &parallel.chunks, "stretches of layers per stage (interleaved)", at_least(1)},
          {"schedule", &parallel.schedule, "of the stages: a name, or a file"},
          {"sequence_parallel", &parallel.sequence_parallel,
           "tensor ranks share the rows between layers, too"},
          {"recompute",
           &parallel.recompute,
           "what backward computes again: none; selective, the attention; full, every block",
           {},
           kRecomputeNames},
          {"bucket_mb", &parallel.bucket_mb, "MB of gradients reduced at a time", above(0)},
          {"zero", &parallel.zero,
           "cut over data ranks: 0 nothing, 1 optimizer states, 2 gradients too, 3 values too",
           from_to(0, 3)},
      },
  };
}

Section collectives_keys(CollectivesSection& collectives) {
  return {
      "collectives",
      "how ranks exchange tensors",
      {
          {"backend", &collectives.backend,
           "who moves them: auto, native (ours), mpi; on GPUs also nccl"},
          {"algorithm", &collectives.algorithm, "ours, by name; auto: the cheapest"},
          {"rules", &collectives.rules, "who serves which sizes: \"all_reduce 0:64K ring\""},
          {"machine", &collectives.machine,
           "profile that prices come from (lockstep calibrate); empty: job.determinism decides"},
          {"timeout_seconds", &collectives.timeout_seconds,
           "of one operation, before the late rank is named", above(0)},
          {"compression", &collectives.compression, "of gradients"},
          {"compression_rank", &collectives.compression_rank, "powersgd: columns kept of a matrix",
           at_least(1)},
          {"compression_share",
           &collectives.compression_share,
           "top_k: of the gradients that travel",
           {.low = 0, .high = 1, .low_open = true}},
      },
  };
}

Section slurm_keys(SlurmSection& slurm) {
  return {
      "slurm",
      "what lockstep submit asks for, and how the job starts and restarts",
      {
          {"partition", &slurm.partition, "of the cluster; empty: its default, as account and qos"},
          {"account", &slurm.account, "who is charged"},
          {"qos", &slurm.qos, "quality of service"},
          {"nodes", &slurm.nodes, "machines", at_least(1)},
          {"ranks_per_node", &slurm.ranks_per_node, "one for each device", at_least(1)},
          {"gpus_per_rank", &slurm.gpus_per_rank, "GPUs", at_least(0)},
          {"cpus_per_rank", &slurm.cpus_per_rank, "cores; 0: the cluster's default", at_least(0)},
          {"memory", &slurm.memory, "of a node, such as 64G; empty: the cluster's default"},
          {"time", &slurm.time, "limit: minutes, hours:minutes:seconds or days-hours:minutes"},
          {"constraint", &slurm.constraint, "features that the nodes must have"},
          {"exclusive", &slurm.exclusive, "whole nodes"},
          {"modules", &slurm.modules, "loaded before anything starts"},
          {"environment", &slurm.environment, "NAME=value, taken literally"},
          {"container", &slurm.container, "Apptainer image that the ranks run in; empty: none"},
          {"program", &slurm.program, "lockstep, as the nodes see it; empty: the one that submits"},
          {"launcher",
           &slurm.launcher,
           "what starts the ranks; auto: srun where it knows slurm.mpi, else mpirun",
           {},
           kLauncherNames},
          {"mpi", &slurm.mpi, "type of srun --mpi; auto: pmix for Open MPI, pmi2 for others"},
          {"mpi_interface", &slurm.mpi_interface,
           "network of Open MPI over TCP; empty: its choice"},
          {"nccl_interface", &slurm.nccl_interface,
           "network that NCCL meets on; empty: its choice"},
          {"preflight", &slurm.preflight, "lockstep check runs first"},
          {"signal_seconds", &slurm.signal_seconds,
           "before the limit the job saves and goes back to the queue", at_least(0)},
          {"requeue",
           &slurm.requeue,
           "a stopped job's way back: scontrol requeue, a dependent job; auto: either; off: none",
           {},
           kRequeueNames},
          {"restarts", &slurm.restarts, "at most", at_least(0)},
          {"requeue_failures", &slurm.requeue_failures,
           "also when the ranks end by an error that is not the user's"},
          {"array", &slurm.array, "tasks, such as 1-8%2, each in a directory of its own"},
          {"array_key", &slurm.array_key, "key that takes the number of the task, as job.seed"},
          {"dependency", &slurm.dependency, "what must come before, such as afterok:123"},
          {"mail", &slurm.mail, "address; empty: none"},
          {"mail_on", &slurm.mail_on, "events that are mailed"},
          {"options", &slurm.options, "further options of sbatch, such as --reservation=name"},
          {"lines", &slurm.lines, "lines of bash before the launch, as they stand"},
      },
  };
}

Section checkpoint_keys(CheckpointSection& checkpoint) {
  return {
      "checkpoint",
      "what a run can be continued from (lockstep train --resume)",
      {
          {"every", &checkpoint.every, "steps; also at the end and on a signal; 0: none",
           at_least(0)},
          {"keep", &checkpoint.keep, "last ones that are kept", at_least(1)},
          {"keep_every", &checkpoint.keep_every,
           "steps whose multiples are kept for ever, too; 0: none", at_least(0)},
          {"async", &checkpoint.async, "written behind the next steps"},
          {"load", &checkpoint.load, "checkpoint whose weights a new run starts from"},
          {"memory_every", &checkpoint.memory_every,
           "steps between copies in the memory of two nodes, for a fast restart; 0: none",
           at_least(0)},
          {"memory_path", &checkpoint.memory_path, "where they lie: a directory in memory"},
      },
  };
}

Section failures_keys(FailuresSection& failures) {
  return {
      "failures",
      "what is done when training goes wrong",
      {
          {"nonfinite",
           &failures.nonfinite,
           "a loss or gradients that are NaN or infinite: end the job, or leave the step out",
           {},
           kNonfiniteNames},
          {"spike",
           &failures.spike,
           "a loss or gradient norm that stands out: say it, leave the step out, or go back as "
           "well",
           {},
           kSpikeNames},
          {"spike_deviations", &failures.spike_deviations,
           "standard deviations above the mean that stand out", above(0)},
          {"spike_window", &failures.spike_window, "last steps that mean and deviation are of",
           at_least(4)},
          {"skips", &failures.skips, "steps left out in a row before the job ends", at_least(1)},
          {"straggler_every", &failures.straggler_every,
           "steps between two looks for a slow rank; 0: never", at_least(0)},
          {"straggler_factor", &failures.straggler_factor,
           "a rank is slow that takes so many times the median", above(1)},
      },
  };
}

Section faults_keys(FaultsSection& faults) {
  return {
      "faults",
      "faults on purpose, to see what happens",
      {
          {"inject", &faults.inject,
           "\"KIND rank R step S ...\": kill, stop, terminate, delay, slow, nan, spike, "
           "corrupt, fail_write"},
      },
  };
}

}  // namespace

std::vector<Section> sections_of(JobConfig& config) {
  return {job_keys(config.job),
          model_keys(config.model),
          data_keys(config.data),
          batch_keys(config.batch),
          optimizer_keys(config.optimizer),
          parallel_keys(config.parallel),
          collectives_keys(config.collectives),
          checkpoint_keys(config.checkpoint),
          failures_keys(config.failures),
          faults_keys(config.faults),
          slurm_keys(config.slurm)};
}

}  // namespace lockstep
