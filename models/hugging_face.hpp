// SPDX-License-Identifier: Apache-2.0
// GPT and Llama under the names that Hugging Face's transformers gives their parts
// (GPT2LMHeadModel, LlamaForCausalLM), and config.json. Pure: tables and text; nobody's files are
// touched.
//
// What differs: GPT-2 keeps matrices as [inputs, outputs], Llama keeps queries, keys, values, gate
// and up apart. Both rotate halves of a head, as we do.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "runtime/config/job_config.hpp"

namespace lockstep {

// One of their tensors: rows of one of our parameters.
struct TheirTensor {
  std::string theirs, ours;
  std::vector<std::int64_t> dims;  // as they have it
  std::int64_t first_row = 0;      // of ours
  bool transposed = false;
};

// Every tensor of the model, model.vocabulary known. ConfigError for a kind that they do not have.
std::vector<TheirTensor> hugging_face_tensors(const ModelSection& model);

// config.json of the model, and back. ConfigError for what our models do not compute, with the key.
std::string hugging_face_config(const ModelSection& model);
ModelSection model_of_hugging_face(std::string_view config);

// GPT-2 is found with and without this before its names.
inline constexpr const char* kGptPrefix = "transformer.";

}  // namespace lockstep
