// SPDX-License-Identifier: Apache-2.0
// A job file as typed values: one struct per TOML section, member names are the key names. What
// each key means and may hold stands once, in keys.hpp. Errors are ConfigErrors of one line that
// name the file and line, the key, the value and what is allowed.
#pragma once

#include <array>
#include <cstdint>
#include <string>
#include <vector>

namespace lockstep {

struct JobSection {
  std::string name = "run";
  std::string device = "auto";
  std::int64_t steps = 100;
  std::int64_t seed = 1;
  int threads = 0;  // 0: this rank's share of the cores
  std::string precision = "float32";
  std::string matmul = "float32";
  std::string attention = "auto";
  int ranks_per_gpu = 1;
  std::string software = "lockstep";
  std::string determinism = "run";
  std::string run_dir;              // empty: runs/<name>
  double target_loss = 0;           // 0: none
  double target_accuracy = 0;       // 0: none
  std::int64_t evaluate_every = 0;  // 0: only at the end
  std::int64_t evaluate_batches = 8;
  std::int64_t sample_length = 0;  // 0: no text is written
  std::string sample_prompt;
  double sample_temperature = 0.8;
  std::int64_t trace_steps = 0;
  bool mllog = false;
  std::string machine;  // empty: no prediction
};

struct ModelSection {
  std::string kind = "gpt";
  std::int64_t layers = 4;
  std::int64_t hidden = 256;
  std::int64_t heads = 4;
  std::int64_t kv_heads = 0;  // 0: heads
  std::int64_t ffn = 0;       // 0: 4 x hidden; llama: 8/3 x hidden
  std::int64_t sequence = 256;
  std::int64_t vocabulary = 0;  // 0: the data's
  double dropout = 0.0;
  bool tied = true;
  std::int64_t context = 8;
};

struct DataSection {
  std::string kind = "bytes";
  std::vector<std::string> path;
  double validation_share = 0.1;
  std::vector<std::string> validation_path;
};

struct BatchSection {
  std::int64_t global = 8;
  std::int64_t micro = 0;  // 0: global / data degree
};

struct OptimizerSection {
  std::string kind = "adamw";
  double learning_rate = 1e-3;
  std::int64_t warmup_steps = 0;
  std::string schedule = "cosine";
  double minimum_share = 0.1;
  double decay_share = 0.2;
  double weight_decay = 0.1;
  std::array<double, 2> betas = {0.9, 0.95};
  double epsilon = 1e-8;
  double momentum = 0.9;
  double clip = 1.0;  // 0: off
};

struct ParallelSection {
  int data = 0;  // 0: what is left
  int tensor = 1;
  int pipeline = 1;
  int chunks = 1;
  std::string schedule = "1f1b";
  bool sequence_parallel = false;
  std::string recompute = "none";
  double bucket_mb = 4.0;
  int zero = 0;
};

struct CollectivesSection {
  std::string backend = "auto";
  std::string algorithm = "auto";
  std::vector<std::string> rules;
  std::string machine;
  double timeout_seconds = 600;
  std::string compression = "none";
  int compression_rank = 4;
  double compression_share = 0.01;
};

struct SlurmSection {
  std::string partition, account, qos;  // empty: the cluster's default
  int nodes = 1;
  int ranks_per_node = 1;
  int gpus_per_rank = 0;
  int cpus_per_rank = 0;  // 0: the cluster's default
  std::string memory;     // of a node
  std::string time;
  std::string constraint;
  bool exclusive = false;
  std::vector<std::string> modules;
  std::vector<std::string> environment;
  std::string container;  // empty: none
  std::string program;    // empty: the lockstep that submits
  std::string launcher = "auto";
  std::string mpi = "auto";
  std::string mpi_interface, nccl_interface;  // empty: not set
  bool preflight = false;
  int signal_seconds = 120;
  std::string requeue = "auto";
  int restarts = 3;
  bool requeue_failures = false;
  std::string array, array_key;
  std::string dependency;
  std::string mail, mail_on = "END,FAIL,REQUEUE";
  std::vector<std::string> options;
  std::vector<std::string> lines;
};

struct CheckpointSection {
  std::int64_t every = 0;  // 0: none
  std::int64_t keep = 2;
  std::int64_t keep_every = 0;  // 0: none besides
  bool async = true;
  std::string load;               // empty: weights start at random
  std::int64_t memory_every = 0;  // 0: none
  std::string memory_path = "/dev/shm";
};

struct FailuresSection {
  std::string nonfinite = "stop";
  std::string spike = "ignore";
  double spike_deviations = 6;
  std::int64_t spike_window = 50;
  std::int64_t skips = 10;
  std::int64_t straggler_every = 10;  // 0: never
  double straggler_factor = 1.5;
};

struct FaultsSection {
  std::vector<std::string> inject;
};

struct JobConfig {
  JobSection job;
  ModelSection model;
  DataSection data;
  BatchSection batch;
  OptimizerSection optimizer;
  ParallelSection parallel;
  CollectivesSection collectives;
  CheckpointSection checkpoint;
  FailuresSection failures;
  FaultsSection faults;
  SlurmSection slurm;
};

// The file, then the overrides "section.key=value" in order, then validate(). What neither says is
// as in `defaults`.
JobConfig load_job(const std::string& path, const std::vector<std::string>& overrides = {},
                   const JobConfig& defaults = {});
// The same from text; `name` stands for the file in messages.
JobConfig parse_job(const std::string& text, const std::string& name,
                    const std::vector<std::string>& overrides = {}, const JobConfig& defaults = {});

// What one key alone cannot show: keys that must fit each other. Pure.
void validate(const JobConfig& config);

// Every key with its value and, as a comment, its meaning. parse_job reads it back unchanged.
std::string to_toml(const JobConfig& config);
// For --help-keys: a complete job file of the defaults.
std::string key_reference();

}  // namespace lockstep
