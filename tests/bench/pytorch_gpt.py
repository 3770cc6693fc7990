#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""The peer: the GPT of compare_pytorch.py in PyTorch, as its documentation would have it.

Trains on windows of bytes of the files below --data and prints one JSON line: seconds of every step
(batch, forward, backward, clip, update), tokens/s over all ranks at the median step, peak resident set.
More than one rank: DistributedDataParallel over gloo on this machine. On a GPU (--device cuda): autocast
to bfloat16, flash attention, fused AdamW, with --compile torch.compile, and the rate of a large matrix
product in the same run.
"""

import argparse
import contextlib
import json
import os
import pathlib
import socket
import statistics
import time

import torch
import torch.distributed as dist
import torch.nn.functional as F
from torch import nn


def attend_fused(q, k, v):
    return F.scaled_dot_product_attention(q, k, v, is_causal=True)


def attend_explicitly(q, k, v):
    T = q.shape[-2]
    future = torch.ones(T, T, dtype=torch.bool).triu(1)
    scores = (q @ k.transpose(-2, -1)) * q.shape[-1] ** -0.5
    return scores.masked_fill(future, float("-inf")).softmax(-1) @ v


ATTENTION = dict(sdpa=attend_fused, explicit=attend_explicitly)
OPTIMIZER = dict(loop=dict(foreach=False), foreach=dict(foreach=True), fused=dict(fused=True))


class Block(nn.Module):
    def __init__(self, width, heads, attend):
        super().__init__()
        self.heads, self.attend = heads, attend
        self.norm1, self.norm2 = nn.LayerNorm(width), nn.LayerNorm(width)
        self.qkv, self.out = nn.Linear(width, 3 * width), nn.Linear(width, width)
        self.mlp = nn.Sequential(nn.Linear(width, 4 * width), nn.GELU(approximate="tanh"),
                                 nn.Linear(4 * width, width))

    def attention(self, x):
        B, T, C = x.shape
        q, k, v = (part.view(B, T, self.heads, -1).transpose(1, 2)
                   for part in self.qkv(x).split(C, dim=-1))
        return self.out(self.attend(q, k, v).transpose(1, 2).reshape(B, T, C))

    def forward(self, x):
        x = x + self.attention(self.norm1(x))
        return x + self.mlp(self.norm2(x))


class Gpt(nn.Module):
    def __init__(self, a):
        super().__init__()
        self.token = nn.Embedding(a.vocabulary, a.hidden)
        self.position = nn.Embedding(a.sequence, a.hidden)
        self.blocks = nn.Sequential(
            *(Block(a.hidden, a.heads, ATTENTION[a.attention]) for _ in range(a.layers)))
        self.norm = nn.LayerNorm(a.hidden)
        self.head = nn.Linear(a.hidden, a.vocabulary, bias=False)
        if a.tied:
            self.head.weight = self.token.weight
        for p in self.parameters():
            if p.dim() >= 2:
                nn.init.normal_(p, std=0.02)

    def forward(self, tokens, targets):
        x = self.token(tokens) + self.position(torch.arange(tokens.shape[1], device=tokens.device))
        logits = self.head(self.norm(self.blocks(x)))
        return F.cross_entropy(logits.flatten(0, 1), targets.flatten())


def corpus(folder):
    files = sorted(p for p in pathlib.Path(folder).rglob("*") if p.is_file())
    return torch.frombuffer(bytearray(b"".join(p.read_bytes() for p in files)), dtype=torch.uint8)


def draw(text, a, generator):
    begins = torch.randint(len(text) - a.sequence, (a.batch, 1), generator=generator)
    window = text[begins + torch.arange(a.sequence + 1)].long()  # [B,T+1]
    if a.device == "cuda":
        window = window.pin_memory().to("cuda", non_blocking=True)
    return window[:, :-1], window[:, 1:]


def attention_of(a):
    """On a GPU no other than flash attention: a fallback would be a weaker peer, unnoticed."""
    if a.device == "cpu" or a.attention != "sdpa" or a.precision != "bfloat16":
        return contextlib.nullcontext()
    from torch.nn.attention import SDPBackend, sdpa_kernel
    return sdpa_kernel([SDPBackend.FLASH_ATTENTION, SDPBackend.CUDNN_ATTENTION])


def precision_of(a):
    if a.precision == "bfloat16":
        return torch.autocast(a.device, torch.bfloat16)
    return contextlib.nullcontext()


def gemm_flops(n=8192, repetitions=20):
    """The rate that MFU is a share of: bfloat16 products of this size, on random numbers."""
    x, y = (torch.randn(n, n, device="cuda", dtype=torch.bfloat16) for _ in range(2))
    for _ in range(3):
        x @ y
    begin, end = (torch.cuda.Event(enable_timing=True) for _ in range(2))
    begin.record()
    for _ in range(repetitions):
        x @ y
    end.record()
    torch.cuda.synchronize()
    return 2 * n**3 * repetitions / (begin.elapsed_time(end) * 1e-3)


def make_optimizer(model, a):
    matrices = [p for p in model.parameters() if p.dim() >= 2]
    vectors = [p for p in model.parameters() if p.dim() < 2]
    groups = [dict(params=matrices, weight_decay=a.weight_decay), dict(params=vectors, weight_decay=0.0)]
    return torch.optim.AdamW(groups, lr=a.learning_rate, betas=(0.9, 0.95), **OPTIMIZER[a.optimizer])


def train(a, rank):
    torch.manual_seed(1)
    torch.set_float32_matmul_precision("high" if a.precision == "tf32" else "highest")
    model = Gpt(a)
    if a.load:
        import gpt2_weights
        gpt2_weights.load(model, a.load)
    model = model.to(a.device)
    parameters = sum(p.numel() for p in model.parameters())
    if a.ranks > 1:
        model = nn.parallel.DistributedDataParallel(model, gradient_as_bucket_view=True)
    optimizer, text = make_optimizer(model, a), corpus(a.data)
    if a.compile:
        model = torch.compile(model)
    generator = torch.Generator().manual_seed(rank)

    seconds, cpu_seconds, losses = [], [], []
    for _ in range(a.steps):
        begin, cpu_begin = time.perf_counter(), time.process_time()
        with precision_of(a), attention_of(a):
            loss = model(*draw(text, a, generator))
        optimizer.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        losses.append(loss.item())  # waits for a GPU's forward and backward, not for the update
        seconds.append(time.perf_counter() - begin)
        cpu_seconds.append(time.process_time() - cpu_begin)
    return dict(step_seconds=seconds, step_cpu_seconds=cpu_seconds, losses=losses, parameters=parameters)


def resident_peak():
    """Of this program only: getrusage would report a larger parent's memory from before the exec."""
    status = pathlib.Path("/proc/self/status").read_text()
    return int(status.split("VmHWM:")[1].split()[0]) * 1024


def keep_to_own_cores(a, rank):
    """As Lockstep's ranks do by themselves: none is moved, none shares."""
    cores = sorted(os.sched_getaffinity(0))
    if a.ranks * a.threads <= len(cores):
        os.sched_setaffinity(0, cores[rank * a.threads:(rank + 1) * a.threads])


def work(rank, a, port):
    torch.set_num_threads(a.threads)
    imported = resident_peak()
    if a.ranks > 1:
        keep_to_own_cores(a, rank)
        dist.init_process_group("gloo", init_method=f"tcp://127.0.0.1:{port}", rank=rank,
                                world_size=a.ranks)
    result = train(a, rank)
    peaks = [resident_peak()]
    if a.ranks > 1:
        peaks = [None] * a.ranks
        dist.all_gather_object(peaks, resident_peak())
    if rank == 0:
        median = statistics.median(result["step_seconds"][a.warmup:])
        if a.device == "cuda":
            result |= dict(gpu=torch.cuda.get_device_name(), gpu_peak_bytes=torch.cuda.max_memory_allocated(),
                           gemm_flops=gemm_flops())
        result |= dict(tokens_per_second=a.ranks * a.batch * a.sequence / median,
                       peak_bytes=max(peaks), imported_bytes=imported, version=torch.__version__)
        print(json.dumps(result), flush=True)
    if a.ranks > 1:
        dist.barrier()
        os._exit(0)  # all is measured, and gloo's own end sometimes aborts (PyTorch 2.15)


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    for name, value in dict(layers=6, hidden=384, heads=6, sequence=256, vocabulary=256, batch=8,
                            ranks=1, threads=1, steps=13, warmup=3).items():
        parser.add_argument(f"--{name}", type=int, default=value, help=f"default {value}")
    parser.add_argument("--attention", choices=ATTENTION, default="sdpa")
    parser.add_argument("--optimizer", choices=OPTIMIZER, default="fused")
    parser.add_argument("--device", choices=["cpu", "cuda"], default="cpu")
    parser.add_argument("--precision", choices=["float32", "tf32", "bfloat16"], default="float32")
    parser.add_argument("--compile", action="store_true", help="torch.compile")
    parser.add_argument("--load", help="model.safetensors under Hugging Face's names, to start from")
    parser.add_argument("--learning-rate", type=float, default=3e-4)
    parser.add_argument("--weight-decay", type=float, default=0.1, help="of matrices")
    parser.add_argument("--tied", action="store_true", help="the head shares the embedding's weights")
    parser.add_argument("--data", default="/usr/include/c++")
    a = parser.parse_args()
    if a.ranks == 1:
        return work(0, a, None)
    os.environ.setdefault("GLOO_SOCKET_IFNAME", "lo")
    torch.multiprocessing.spawn(work, (a, free_port()), nprocs=a.ranks)


if __name__ == "__main__":
    main()
