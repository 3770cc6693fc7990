#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Records what PyTorch computes for our models: the values that tests/parity/pytorch.cpp must meet.

Written from the papers and not from our C++, on plain tensor operations and autograd, so that the
two sides share no code and no mistake. Every run is done in float32 (recorded) and in float64: where
the two disagree, rounding decides and the value is no reference, so nothing is written.

Shapes: B batch, T tokens, C channels, H heads, F feed-forward width, V vocabulary, E embedding width.
Linear is y = x W^T + b. Every parameter is random, biases and norms too: a forgotten one must show.
"""

import json
import math
import pathlib
import struct
import sys

import torch
import torch.nn.functional as F

STEPS = 20
OPTIMIZER = dict(learning_rate=1e-3, beta1=0.9, beta2=0.95, epsilon=1e-8, weight_decay=0.1, clip=1.0)
NORM_EPSILON = 1e-5
GPT = dict(kind="gpt", layers=2, hidden=24, heads=3, ffn=64, sequence=13, vocabulary=37, batch=3)
LLAMA = dict(kind="llama", layers=2, hidden=24, heads=6, kv_heads=3, ffn=32, sequence=13, vocabulary=37,
             batch=3, tied=False)
ROTARY_BASE = 10000.0
MLP = dict(kind="mlp", layers=2, hidden=16, context=5, ffn=40, sequence=13, vocabulary=37, batch=3)
CASES = {
    "gpt_tied": dict(GPT, tied=True),
    "gpt_untied": dict(GPT, tied=False),
    "llama": LLAMA,
    "mlp": MLP,
}
STABLE = 2e-5  # float32 against float64; the test allows 1e-4


# ---- models: logits [B*T, V] of tokens [B, T]; `p` maps our parameter names to tensors


def linear(p, name, x):
    return x @ p[name + ".weight"].T + p[name + ".bias"]


def layer_norm(p, name, x):
    mean = x.mean(-1, keepdim=True)
    variance = ((x - mean) ** 2).mean(-1, keepdim=True)
    return (x - mean) / torch.sqrt(variance + NORM_EPSILON) * p[name + ".weight"] + p[name + ".bias"]


def attention(p, name, x, heads):
    B, T, C = x.shape
    q, k, v = (part.view(B, T, heads, C // heads).transpose(1, 2)  # [B,H,T,C/H]
               for part in linear(p, name + ".qkv", x).split(C, dim=-1))
    scores = q @ k.transpose(-2, -1) / math.sqrt(C // heads)  # [B,H,T,T]
    future = torch.ones(T, T, dtype=torch.bool).triu(1)
    weights = torch.softmax(scores.masked_fill(future, -math.inf), dim=-1)
    return linear(p, name + ".out", (weights @ v).transpose(1, 2).reshape(B, T, C))


def gpt(p, tokens, config):
    """GPT-2: Radford et al., "Language models are unsupervised multitask learners", 2019."""
    T = tokens.shape[1]
    x = p["embedding.token.weight"][tokens] + p["embedding.position.weight"][:T]  # [B,T,C]
    for i in range(config["layers"]):
        block = f"blocks.{i}."
        x = x + attention(p, block + "attention", layer_norm(p, block + "norm1", x), config["heads"])
        up = linear(p, block + "mlp.up", layer_norm(p, block + "norm2", x))
        x = x + linear(p, block + "mlp.down", F.gelu(up, approximate="tanh"))
    head = p["embedding.token.weight" if config["tied"] else "head.weight"]
    return layer_norm(p, "head.norm", x).flatten(0, 1) @ head.T


def rms_norm(p, name, x):
    return x / torch.sqrt((x**2).mean(-1, keepdim=True) + NORM_EPSILON) * p[name + ".weight"]


def rotated(x):
    """x [B,H,T,D]: channels c and c + D/2 as a complex number, turned by t base^(-2c/D) at position t."""
    T, half = x.shape[2], x.shape[3] // 2
    speeds = ROTARY_BASE ** (-torch.arange(half, dtype=torch.float64) / half)
    turns = torch.polar(torch.ones((), dtype=torch.float64), torch.outer(torch.arange(T), speeds))  # [T,D/2]
    z = torch.complex(x[..., :half], x[..., half:]) * turns.to(torch.complex(x, x).dtype)
    return torch.cat([z.real, z.imag], dim=-1)


def grouped_attention(p, name, x, heads, kv_heads):
    B, T, C = x.shape
    D = C // heads
    packed = (x @ p[name + ".qkv.weight"].T).view(B, T, heads + 2 * kv_heads, D).transpose(1, 2)
    q, k, v = packed.split([heads, kv_heads, kv_heads], dim=1)  # [B,H,T,D]
    q, k = rotated(q), rotated(k)
    outputs = []
    for h in range(heads):
        shared = h // (heads // kv_heads)
        scores = q[:, h] @ k[:, shared].transpose(-2, -1) / math.sqrt(D)  # [B,T,T]
        future = torch.ones(T, T, dtype=torch.bool).triu(1)
        outputs.append(torch.softmax(scores.masked_fill(future, -math.inf), dim=-1) @ v[:, shared])
    return torch.cat(outputs, dim=-1) @ p[name + ".out.weight"].T


def llama(p, tokens, config):
    """Touvron et al., "LLaMA", 2023; grouped queries: Ainslie et al., "GQA", 2023."""
    x = p["embedding.token.weight"][tokens]  # [B,T,C]
    for i in range(config["layers"]):
        block = f"blocks.{i}."
        x = x + grouped_attention(p, block + "attention", rms_norm(p, block + "norm1", x), config["heads"],
                                  config["kv_heads"])
        gate, up = (rms_norm(p, block + "norm2", x) @ p[block + "mlp.gate_up.weight"].T).chunk(2, dim=-1)
        x = x + (gate / (1 + torch.exp(-gate)) * up) @ p[block + "mlp.down.weight"].T
    return rms_norm(p, "head.norm", x).flatten(0, 1) @ p["head.weight"].T


def mlp(p, tokens, config):
    """Bengio et al., "A neural probabilistic language model", JMLR 3, 2003.

    Position t sees the embeddings of tokens t-context+1 .. t, oldest first; zeros before the start.
    """
    B, T = tokens.shape
    context = config["context"]
    embedded = F.pad(p["embedding.weight"][tokens], (0, 0, context - 1, 0))  # [B,T+context-1,E]
    x = torch.cat([embedded[:, i : i + T] for i in range(context)], dim=-1)  # [B,T,context*E]
    for i in range(config["layers"]):
        x = F.gelu(linear(p, f"layers.{i}", x), approximate="tanh")
    return linear(p, "head", x).flatten(0, 1)


MODELS = dict(gpt=gpt, llama=llama, mlp=mlp)


# ---- parameters and data


def gpt_shapes(c):
    C, ffn = c["hidden"], c["ffn"]
    shapes = {"embedding.token.weight": (c["vocabulary"], C),
              "embedding.position.weight": (c["sequence"], C)}
    for i in range(c["layers"]):
        for name, shape in {
            "norm1.weight": (C,), "norm1.bias": (C,),
            "attention.qkv.weight": (3 * C, C), "attention.qkv.bias": (3 * C,),
            "attention.out.weight": (C, C), "attention.out.bias": (C,),
            "norm2.weight": (C,), "norm2.bias": (C,),
            "mlp.up.weight": (ffn, C), "mlp.up.bias": (ffn,),
            "mlp.down.weight": (C, ffn), "mlp.down.bias": (C,),
        }.items():
            shapes[f"blocks.{i}.{name}"] = shape
    shapes |= {"head.norm.weight": (C,), "head.norm.bias": (C,)}
    if not c["tied"]:
        shapes["head.weight"] = (c["vocabulary"], C)
    return shapes


def llama_shapes(c):
    C, ffn, D = c["hidden"], c["ffn"], c["hidden"] // c["heads"]
    shapes = {"embedding.token.weight": (c["vocabulary"], C)}
    for i in range(c["layers"]):
        for name, shape in {
            "norm1.weight": (C,),
            "attention.qkv.weight": ((c["heads"] + 2 * c["kv_heads"]) * D, C),
            "attention.out.weight": (C, C),
            "norm2.weight": (C,),
            "mlp.gate_up.weight": (2 * ffn, C),
            "mlp.down.weight": (C, ffn),
        }.items():
            shapes[f"blocks.{i}.{name}"] = shape
    return shapes | {"head.norm.weight": (C,), "head.weight": (c["vocabulary"], C)}


def mlp_shapes(c):
    shapes = {"embedding.weight": (c["vocabulary"], c["hidden"])}
    width = c["context"] * c["hidden"]
    for i in range(c["layers"]):
        shapes |= {f"layers.{i}.weight": (c["ffn"], width), f"layers.{i}.bias": (c["ffn"],)}
        width = c["ffn"]
    return shapes | {"head.weight": (c["vocabulary"], width), "head.bias": (c["vocabulary"],)}


def initial_parameters(config):
    """Wider than a training run would start, so that no attention is uniform and no GELU linear."""
    shapes = dict(gpt=gpt_shapes, llama=llama_shapes, mlp=mlp_shapes)[config["kind"]](config)
    return {name: torch.randn(shape) * (0.2 if len(shape) > 1 else 0.1)
                  + (1.0 if "norm" in name and name.endswith("weight") else 0.0)
            for name, shape in shapes.items()}


def batches(config):
    """tokens and targets [STEPS, B, T]: a noisy rule (next = 3 previous + 0, 1 or 2), so that loss falls."""
    B, T, V = config["batch"], config["sequence"], config["vocabulary"]
    text = torch.randint(V, (STEPS, B, T + 1))
    noise = torch.randint(3, text.shape)
    for t in range(1, T + 1):
        text[..., t] = (3 * text[..., t - 1] + noise[..., t]) % V
    return text[..., :-1], text[..., 1:]


# ---- one run


def train(config, start, tokens, targets, dtype):
    """All that is recorded, computed in `dtype`."""
    p = {name: value.to(dtype, copy=True).requires_grad_() for name, value in start.items()}
    optimizer = torch.optim.AdamW(
        [dict(params=[v for v in p.values() if v.dim() >= 2], weight_decay=OPTIMIZER["weight_decay"]),
         dict(params=[v for v in p.values() if v.dim() < 2], weight_decay=0.0)],
        lr=OPTIMIZER["learning_rate"], betas=(OPTIMIZER["beta1"], OPTIMIZER["beta2"]),
        eps=OPTIMIZER["epsilon"], foreach=False, fused=False)

    record, losses, norms = {}, [], []
    for step in range(STEPS):
        optimizer.zero_grad()
        logits = MODELS[config["kind"]](p, tokens[step], config)
        loss = F.cross_entropy(logits, targets[step].flatten())
        loss.backward()
        if step == 0:
            record["logits"] = logits.detach().clone()
            record |= {"gradient." + name: value.grad.clone() for name, value in p.items()}
        norms.append(torch.nn.utils.clip_grad_norm_(p.values(), OPTIMIZER["clip"]))
        losses.append(loss.detach())
        optimizer.step()
    record |= {"losses": torch.stack(losses), "gradient_norms": torch.stack(norms)}
    return record | {"final." + name: value.detach().clone() for name, value in p.items()}


def without_key_bias(name, value):
    """Softmax cancels the keys' bias: its gradient is rounding noise, which AdamW amplifies."""
    if not name.endswith("attention.qkv.bias"):
        return value
    q, _, v = value.chunk(3)
    return torch.cat([q, v])


def disagreement(record, exact):
    """The worst |a-b| / max|b| over all tensors, and where it is."""
    def error(name):
        a, b = (without_key_bias(name, r[name].double()) for r in (record, exact))
        return ((a - b).abs().max() / b.abs().max()).item()
    return max((error(name), name) for name in record)


# ---- the file


def write_safetensors(path, tensors, metadata):
    types = {torch.float32: "F32", torch.int32: "I32"}
    header, at = {"__metadata__": metadata}, 0
    for name, value in tensors.items():
        end = at + value.numel() * value.element_size()
        header[name] = dict(dtype=types[value.dtype], shape=list(value.shape), data_offsets=[at, end])
        at = end
    text = json.dumps(header, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)
    with open(path, "wb") as file:
        file.write(struct.pack("<Q", len(text)) + text)
        for value in tensors.values():
            code = "f" if value.dtype == torch.float32 else "i"
            file.write(struct.pack(f"<{value.numel()}{code}", *value.flatten().tolist()))


def make(name, config, folder):
    torch.manual_seed(sum(name.encode()))
    start, (tokens, targets) = initial_parameters(config), batches(config)
    record = train(config, start, tokens, targets, torch.float32)
    error, where = disagreement(record, train(config, start, tokens, targets, torch.float64))
    losses, norms = record["losses"], record["gradient_norms"]
    print(f"{name}: loss {losses[0]:.4f} -> {losses[-1]:.4f}, gradient norm {norms.min():.3f} to"
          f" {norms.max():.3f}, float32 against float64 {error:.1e} ({where})")
    if error > STABLE:
        raise SystemExit(f"{name}: rounding decides about {where}; choose another case")

    tensors = {"tokens": tokens.int(), "targets": targets.int()} | record
    tensors |= {"initial." + parameter: value for parameter, value in start.items()}
    metadata = config | OPTIMIZER | dict(steps=STEPS, norm_epsilon=NORM_EPSILON,
                                         made_with="PyTorch " + torch.__version__)
    write_safetensors(folder / f"{name}.safetensors", tensors,
                      {key: value if isinstance(value, str) else json.dumps(value)
                       for key, value in metadata.items()})


if __name__ == "__main__":
    torch.set_num_threads(1)  # sums in one order: the same bits on every machine of one kind
    folder = pathlib.Path(__file__).parent / "reference"
    folder.mkdir(exist_ok=True)
    for case in sys.argv[1:] or CASES:
        make(case, CASES[case], folder)
