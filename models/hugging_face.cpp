// SPDX-License-Identifier: Apache-2.0
#include "models/hugging_face.hpp"

#include <cmath>

#include <nlohmann/json.hpp>

#include "models/llama.hpp"
#include "runtime/base/error.hpp"

namespace lockstep {

namespace {

using Json = nlohmann::ordered_json;
using Tensors = std::vector<TheirTensor>;

constexpr double kEpsilon = 1e-5;      // of our norms
constexpr double kRotaryBase = 10000;  // of our llama

std::string block(const char* theirs, std::int64_t i) {
  return theirs + std::to_string(i) + ".";
}

std::int64_t ffn_of(const ModelSection& m) {
  if (m.ffn > 0) return m.ffn;
  return m.kind == "llama" ? usual_llama_ffn(m.hidden) : 4 * m.hidden;
}

std::int64_t kv_heads_of(const ModelSection& m) {
  return m.kv_heads > 0 ? m.kv_heads : m.heads;
}

// ---- GPT-2

void add_both(Tensors& all, const std::string& theirs, const std::string& ours,
              const std::vector<std::int64_t>& weight) {
  all.push_back({theirs + ".weight", ours + ".weight", weight, 0, weight.size() == 2});
  all.push_back({theirs + ".bias", ours + ".bias", {weight.back()}});
}

Tensors gpt_tensors(const ModelSection& m) {
  const std::int64_t C = m.hidden, F = ffn_of(m), V = m.vocabulary;
  const std::string top = kGptPrefix;
  Tensors all{{top + "wte.weight", "embedding.token.weight", {V, C}},
              {top + "wpe.weight", "embedding.position.weight", {m.sequence, C}}};
  for (std::int64_t i = 0; i < m.layers; ++i) {
    const std::string theirs = top + block("h.", i), ours = block("blocks.", i);
    add_both(all, theirs + "ln_1", ours + "norm1", {C});
    add_both(all, theirs + "attn.c_attn", ours + "attention.qkv", {C, 3 * C});
    add_both(all, theirs + "attn.c_proj", ours + "attention.out", {C, C});
    add_both(all, theirs + "ln_2", ours + "norm2", {C});
    add_both(all, theirs + "mlp.c_fc", ours + "mlp.up", {C, F});
    add_both(all, theirs + "mlp.c_proj", ours + "mlp.down", {F, C});
  }
  add_both(all, top + "ln_f", "head.norm", {C});
  if (!m.tied) all.push_back({"lm_head.weight", "head.weight", {V, C}});
  return all;
}

Json gpt_config(const ModelSection& m) {
  return {{"architectures", {"GPT2LMHeadModel"}},
          {"model_type", "gpt2"},
          {"vocab_size", m.vocabulary},
          {"n_positions", m.sequence},
          {"n_embd", m.hidden},
          {"n_layer", m.layers},
          {"n_head", m.heads},
          {"n_inner", ffn_of(m)},
          {"activation_function", "gelu_new"},
          {"layer_norm_epsilon", kEpsilon},
          {"embd_pdrop", m.dropout},
          {"attn_pdrop", m.dropout},
          {"resid_pdrop", m.dropout},
          {"tie_word_embeddings", m.tied},
          {"bos_token_id", nullptr},
          {"eos_token_id", nullptr},
          {"torch_dtype", "float32"}};
}

// ---- Llama

Tensors llama_tensors(const ModelSection& m) {
  const std::int64_t C = m.hidden, F = ffn_of(m), V = m.vocabulary;
  const std::int64_t K = C / m.heads * kv_heads_of(m);
  Tensors all{{"model.embed_tokens.weight", "embedding.token.weight", {V, C}}};
  for (std::int64_t i = 0; i < m.layers; ++i) {
    const std::string theirs = block("model.layers.", i), ours = block("blocks.", i);
    const std::string qkv = ours + "attention.qkv.weight", gate_up = ours + "mlp.gate_up.weight";
    all.push_back({theirs + "input_layernorm.weight", ours + "norm1.weight", {C}});
    all.push_back({theirs + "self_attn.q_proj.weight", qkv, {C, C}});
    all.push_back({theirs + "self_attn.k_proj.weight", qkv, {K, C}, C});
    all.push_back({theirs + "self_attn.v_proj.weight", qkv, {K, C}, C + K});
    all.push_back({theirs + "self_attn.o_proj.weight", ours + "attention.out.weight", {C, C}});
    all.push_back({theirs + "post_attention_layernorm.weight", ours + "norm2.weight", {C}});
    all.push_back({theirs + "mlp.gate_proj.weight", gate_up, {F, C}});
    all.push_back({theirs + "mlp.up_proj.weight", gate_up, {F, C}, F});
    all.push_back({theirs + "mlp.down_proj.weight", ours + "mlp.down.weight", {C, F}});
  }
  all.push_back({"model.norm.weight", "head.norm.weight", {C}});
  if (!m.tied) all.push_back({"lm_head.weight", "head.weight", {V, C}});
  return all;
}

Json llama_config(const ModelSection& m) {
  return {{"architectures", {"LlamaForCausalLM"}},
          {"model_type", "llama"},
          {"vocab_size", m.vocabulary},
          {"max_position_embeddings", m.sequence},
          {"hidden_size", m.hidden},
          {"intermediate_size", ffn_of(m)},
          {"num_hidden_layers", m.layers},
          {"num_attention_heads", m.heads},
          {"num_key_value_heads", kv_heads_of(m)},
          {"hidden_act", "silu"},
          {"rms_norm_eps", kEpsilon},
          {"rope_theta", kRotaryBase},
          {"attention_bias", false},
          {"mlp_bias", false},
          {"tie_word_embeddings", m.tied},
          {"bos_token_id", nullptr},
          {"eos_token_id", nullptr},
          {"torch_dtype", "float32"}};
}

// ---- reading config.json

class Config {
 public:
  explicit Config(Json json) : json_(std::move(json)) {}

  std::int64_t count(const char* key) const {
    if (!json_.contains(key) || !json_[key].is_number_unsigned()) {
      throw ConfigError(std::string("config.json: ") + key + " is not a whole number");
    }
    const auto value = json_[key].get<std::uint64_t>();
    if (value == 0 || value > std::uint64_t{1} << 40) {
      throw ConfigError(std::string("config.json: ") + key + " is out of range");
    }
    return static_cast<std::int64_t>(value);
  }
  std::int64_t count_or(const char* key, std::int64_t otherwise) const {
    return has(key) ? count(key) : otherwise;
  }
  // ConfigError unless the key is absent or says what our model does.
  void expect(const char* key, const std::vector<Json>& allowed) const {
    if (!has(key)) return;
    for (const Json& value : allowed) {
      const bool close =
          value.is_number() && json_[key].is_number() &&
          std::abs(json_[key].get<double>() - value.get<double>()) < 1e-6 * value.get<double>();
      if (close || json_[key] == value) return;
    }
    throw ConfigError(std::string("config.json: ") + key + " = " + json_[key].dump() +
                      ", but this program's model computes with " + allowed.front().dump());
  }
  bool flag(const char* key, bool otherwise) const {
    return json_.contains(key) && json_[key].is_boolean() ? json_[key].get<bool>() : otherwise;
  }
  bool has(const char* key) const { return json_.contains(key) && !json_[key].is_null(); }
  Config part(const char* key) const {
    return Config(json_.contains(key) && json_[key].is_object() ? json_[key] : Json::object());
  }
  std::string text(const char* key) const {
    return json_.contains(key) && json_[key].is_string() ? json_[key].get<std::string>() : "";
  }

 private:
  Json json_;
};

ModelSection read_gpt(const Config& c) {
  c.expect("activation_function", {"gelu_new", "gelu_pytorch_tanh"});
  c.expect("layer_norm_epsilon", {kEpsilon});
  c.expect("scale_attn_weights", {true});
  c.expect("scale_attn_by_inverse_layer_idx", {false});
  c.expect("add_cross_attention", {false});
  ModelSection m;
  m.kind = "gpt";
  m.vocabulary = c.count("vocab_size");
  m.sequence = c.count("n_positions");
  m.hidden = c.count("n_embd");
  m.layers = c.count("n_layer");
  m.heads = c.count("n_head");
  m.ffn = c.count_or("n_inner", 0);
  m.tied = c.flag("tie_word_embeddings", true);
  return m;
}

ModelSection read_llama(const Config& c) {
  c.expect("hidden_act", {"silu"});
  c.expect("rms_norm_eps", {kEpsilon});
  for (const Config& rotary : {c, c.part("rope_parameters")}) {  // newer files have them apart
    rotary.expect("rope_theta", {kRotaryBase});
    rotary.expect("rope_type", {"default"});
  }
  c.expect("rope_scaling", {nullptr});
  c.expect("attention_bias", {false});
  c.expect("mlp_bias", {false});
  ModelSection m;
  m.kind = "llama";
  m.vocabulary = c.count("vocab_size");
  m.sequence = c.count("max_position_embeddings");
  m.hidden = c.count("hidden_size");
  m.ffn = c.count("intermediate_size");
  m.layers = c.count("num_hidden_layers");
  m.heads = c.count("num_attention_heads");
  m.kv_heads = c.count_or("num_key_value_heads", m.heads);
  m.tied = c.flag("tie_word_embeddings", false);
  c.expect("head_dim", {m.hidden / m.heads});
  return m;
}

[[noreturn]] void refuse(const std::string& kind) {
  throw ConfigError("model.kind = \"" + kind + "\" has no name in Hugging Face's transformers; " +
                    "gpt and llama have one");
}

}  // namespace

std::vector<TheirTensor> hugging_face_tensors(const ModelSection& model) {
  if (model.kind == "gpt") return gpt_tensors(model);
  if (model.kind == "llama") return llama_tensors(model);
  refuse(model.kind);
}

std::string hugging_face_config(const ModelSection& model) {
  if (model.kind == "gpt") return gpt_config(model).dump(2) + "\n";
  if (model.kind == "llama") return llama_config(model).dump(2) + "\n";
  refuse(model.kind);
}

ModelSection model_of_hugging_face(std::string_view config) {
  Json json = Json::parse(config.begin(), config.end(), nullptr, /*allow_exceptions=*/false);
  if (!json.is_object()) throw ConfigError("config.json: is not a JSON object");
  const Config c(std::move(json));
  const std::string type = c.text("model_type");
  if (type == "gpt2") return read_gpt(c);
  if (type == "llama") return read_llama(c);
  throw ConfigError("config.json: model_type = \"" + type + "\"; gpt2 and llama are known");
}

}  // namespace lockstep
