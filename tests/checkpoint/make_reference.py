#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Models of Hugging Face's transformers: small ones with their logits for hugging_face_test, and the check of what we
export. Needs torch and transformers; the tests need neither.

make_reference.py make FOLDER            writes FOLDER/gpt2 and FOLDER/llama: config.json, model.safetensors and
                                         expected.safetensors (tokens [B,T], logits [B,T,V])
make_reference.py check MODEL EXPECTED   loads an exported MODEL in transformers; its logits must be those of EXPECTED
"""

import pathlib
import sys

import torch
from safetensors.torch import load_file, save_file
from transformers import AutoModelForCausalLM, GPT2Config, GPT2LMHeadModel, LlamaConfig, LlamaForCausalLM

VOCABULARY, BATCH, TOKENS = 61, 2, 12
TOLERANCE = 1e-4


def models():
    torch.manual_seed(3)
    yield "gpt2", GPT2LMHeadModel(GPT2Config(vocab_size=VOCABULARY, n_positions=16, n_embd=24, n_layer=2, n_head=3))
    yield "llama", LlamaForCausalLM(LlamaConfig(
        vocab_size=VOCABULARY, max_position_embeddings=16, hidden_size=32, intermediate_size=44, num_hidden_layers=2,
        num_attention_heads=4, num_key_value_heads=2, rms_norm_eps=1e-5, tie_word_embeddings=False))


def logits_of(model, tokens):
    model.eval()
    with torch.no_grad():
        return model(tokens.long()).logits.float()


def make(folder):
    for name, model in models():
        for parameter in model.parameters():  # large enough that a mistake shows
            parameter.data += 0.2 * torch.randn_like(parameter)
        model.save_pretrained(folder / name)
        (folder / name / "generation_config.json").unlink(missing_ok=True)
        tokens = torch.randint(VOCABULARY, (BATCH, TOKENS), dtype=torch.int32)
        save_file({"tokens": tokens, "logits": logits_of(model, tokens)}, folder / name / "expected.safetensors")


def check(path, expected):
    wanted = load_file(expected)
    logits = logits_of(AutoModelForCausalLM.from_pretrained(path), wanted["tokens"])
    difference = (logits - wanted["logits"]).abs().max().item()
    print(f"{path}: logits differ by {difference:.2g} at most, they reach {wanted['logits'].abs().max():.2g}")
    return difference < TOLERANCE


if sys.argv[1] == "make":
    make(pathlib.Path(sys.argv[2]))
else:
    sys.exit(0 if check(sys.argv[2], sys.argv[3]) else 1)
