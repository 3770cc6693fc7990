# SPDX-License-Identifier: Apache-2.0
"""Weights of GPT-2 under Hugging Face's names, which `lockstep checkpoint convert --to hugging-face` writes,
into the model of pytorch_gpt.py. The format is safetensors: a length, a JSON header, float32."""

import json
import pathlib
import struct

import torch

OF_BLOCK = {  # theirs, ours; their matrices are [inputs, outputs]
    "ln_1": "norm1", "attn.c_attn": "qkv", "attn.c_proj": "out", "ln_2": "norm2", "mlp.c_fc": "mlp.0",
    "mlp.c_proj": "mlp.2",
}


def tensors_of(path):
    data = pathlib.Path(path).read_bytes()
    length = struct.unpack("<Q", data[:8])[0]
    for name, what in json.loads(data[8:8 + length]).items():
        if name != "__metadata__":
            begin, end = (8 + length + offset for offset in what["data_offsets"])
            values = torch.frombuffer(bytearray(data[begin:end]), dtype=torch.float32)
            yield name.removeprefix("transformer."), values.reshape(what["shape"])


def load(model, path):
    own, loaded = model.state_dict(), set()
    for theirs, value in tensors_of(path):
        ours = name_of(theirs)
        transposed = theirs.startswith("h.") and value.dim() == 2
        with torch.no_grad():
            own[ours].copy_(value.T if transposed else value)
        loaded.add(ours)
    missing = set(own) - loaded - {"head.weight"}  # tied
    assert not missing, f"{path} has no {sorted(missing)}"


def name_of(theirs):
    for part, name in {"wte": "token", "wpe": "position", "ln_f": "norm", "lm_head": "head"}.items():
        if theirs.startswith(part + "."):
            return name + theirs[len(part):]
    _, block, rest = theirs.split(".", 2)
    part, kind = rest.rsplit(".", 1)
    return f"blocks.{block}.{OF_BLOCK[part]}.{kind}"
