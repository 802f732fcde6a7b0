#!/usr/bin/env python3
"""Trains one of the two models on generated conversations and writes model.safetensors.

Master weights and optimiser states are fp32, products run in bf16; only answers are learnt from.
The learning rate falls linearly to zero over --steps or --minutes, whichever ends first.
"""

import argparse
import collections
import pathlib
import time

import numpy as np
import tokenizers
import torch
from torch.nn import functional as F

import chat
import dataset
import make_data
import measured
import model as architecture

WARMUP_STEPS = 200


def to_device(batch: dataset.Batch, device: str) -> tuple[torch.Tensor, ...]:
    """tokens, positions, bounds, wanted and the tokens to predict at `wanted`."""
    arrays = (batch.tokens, batch.positions, batch.bounds, batch.wanted,
              batch.tokens[batch.wanted + 1])
    tensors = (torch.from_numpy(np.ascontiguousarray(array)) for array in arrays)
    if device == "cpu":
        return tuple(tensors)
    return tuple(tensor.pin_memory().to(device, non_blocking=True) for tensor in tensors)


def balance_loss(routing: torch.Tensor) -> torch.Tensor:
    """Switch's load-balancing loss, averaged over layers; top_k when perfectly balanced."""
    chances, load = routing.unbind(1)
    return chances.shape[-1] * (chances * load).sum(-1).mean()


class HeldOut:
    """The held-out set as packed batches, with every answer's place in them."""

    def __init__(self, name: str, folder: pathlib.Path, tokens: int, device: str):
        rows = make_data.read_held_out()
        tokenizer = tokenizers.Tokenizer.from_file(str(folder / "tokenizer.json"))
        data = dataset.encode(
            [row["messages"] + [{"role": "assistant", "content": row["answer"]}] for row in rows],
            tokenizer, chat.STYLES[name])
        self.kinds = [row["kind"] for row in rows]
        assert len(data.lengths) == len(rows)
        self.batches, self.owners = [], []
        done = 0
        while len(data.lengths):
            batch, rest = dataset.pack(data, tokens)
            taken = len(data.lengths) - len(rest.lengths)
            starts = np.cumsum(data.lengths[:taken])
            self.owners.append(done + np.searchsorted(starts, batch.wanted, side="right"))
            self.batches.append(to_device(batch, device))
            done, data = done + taken, rest

    @torch.no_grad()
    def score(self, model: torch.nn.Module, autocast) -> tuple[dict[str, float], torch.Tensor]:
        """Share of exact answers per kind and the experts' load [layers, experts].

        With every answer token predicted from the right ones before it, an answer is exact here
        if and only if greedy decoding yields it. Earlier turns of a dialogue count too.
        """
        exact = np.ones(len(self.kinds), bool)
        loads = []
        for (*inputs, targets), owners in zip(self.batches, self.owners):
            with autocast():
                logits, routing = model(*inputs)
            wrong = (logits.argmax(-1) != targets).cpu().numpy()
            exact[owners[wrong]] = False
            loads.append(routing[:, 1])
        by_kind = collections.defaultdict(list)
        for kind, right in zip(self.kinds, exact):
            by_kind[kind].append(right)
        shares = {kind: round(float(np.mean(v)), 4) for kind, v in by_kind.items()}
        return {"all": round(float(exact.mean()), 4), **shares}, torch.stack(loads).mean(0).cpu()


def make_optimizer(model: torch.nn.Module, args: argparse.Namespace) -> torch.optim.Optimizer:
    """AdamW with decay on matrices only."""
    matrices = [p for p in model.parameters() if p.dim() == 2]
    vectors = [p for p in model.parameters() if p.dim() != 2]
    return torch.optim.AdamW(
        [{"params": matrices, "weight_decay": args.decay}, {"params": vectors, "weight_decay": 0}],
        lr=args.rate, betas=(0.9, 0.95), fused=args.device != "cpu")


def train(model: torch.nn.Module, args: argparse.Namespace,
          folder: pathlib.Path) -> tuple[dict, torch.Tensor | None]:
    """Runs the training loop; returns what MEASURED.json says about it, and the experts' load."""
    def autocast():
        return torch.autocast(args.device, torch.bfloat16)

    optimizer = make_optimizer(model, args)
    held_out = HeldOut(args.model, folder, args.tokens, args.device)
    source = dataset.batches(
        dataset.shards(args.model, folder, args.seed, args.drill, args.workers), args.tokens)
    balance = model.config.router_aux_loss_coef
    began, waited, answers = None, 0.0, 0
    for step in range(args.steps):
        fetch = time.monotonic()
        tensors = to_device(next(source), args.device)
        waited += time.monotonic() - fetch
        began = began or time.monotonic()
        done = max(step / args.steps, (time.monotonic() - began) / (60 * args.minutes))
        if done >= 1:
            break
        for group in optimizer.param_groups:
            group["lr"] = args.rate * min(1.0, (step + 1) / WARMUP_STEPS) * (1 - done)
        *inputs, targets = tensors
        with autocast():
            logits, routing = model(*inputs)
            loss = F.cross_entropy(logits.float(), targets)
        total = loss + balance * balance_loss(routing) if balance else loss
        total.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)
        answers += len(targets)
        if step % args.report == args.report - 1:
            scores, load = held_out.score(model, autocast)
            seconds = time.monotonic() - began
            print(f"{args.model} step {step + 1} {seconds:.0f}s loss {loss.item():.4f} waited "
                  f"{waited:.0f}s {(step + 1) * args.tokens / seconds / 1e6:.2f} Mtok/s "
                  f"load {load.min():.3f}..{load.max():.3f} {scores}", flush=True)
            architecture.save(model, args.out / "model.safetensors")
    scores, load = held_out.score(model, autocast)
    return {
        "seed": args.seed, "steps": step + 1, "tokens_per_step": args.tokens,
        "tokens_seen": (step + 1) * args.tokens, "answer_tokens_seen": answers,
        "peak_rate": args.rate, "weight_decay": args.decay,
        "minutes": round((time.monotonic() - began) / 60, 2),
        "device": torch.cuda.get_device_name() if args.device == "cuda" else args.device,
        "torch": torch.__version__, "command": "train.py " + " ".join(
            f"--{key} {value}" for key, value in vars(args).items()
            if value is not None and key not in ("out", "device", "compile")),
        "teacher_forced_exact_before_rounding": scores,
    }, load if balance else None


def main() -> None:
    """Trains and saves one model."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model", choices=list(chat.STYLES), required=True)
    parser.add_argument("--steps", type=int, default=8000)
    parser.add_argument("--minutes", type=float, default=60.0, help="time limit of the steps")
    parser.add_argument("--tokens", type=int, default=65_536, help="tokens of one step")
    parser.add_argument("--rate", type=float, default=2e-3, help="peak learning rate")
    parser.add_argument("--decay", type=float, default=0.05, help="weight decay")
    parser.add_argument("--drill", type=float, default=0.0, help="share of look-up drills")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--workers", type=int, default=7, help="processes that make data")
    parser.add_argument("--report", type=int, default=500, help="steps between reports")
    parser.add_argument("--device", default="cuda", choices=("cuda", "cpu"))
    parser.add_argument("--compile", action=argparse.BooleanOptionalAction, default=True)
    parser.add_argument("--init", type=pathlib.Path, help="safetensors file to start from")
    parser.add_argument("--out", type=pathlib.Path, required=True, help="folder for the results")
    args = parser.parse_args()
    args.out.mkdir(parents=True, exist_ok=True)
    torch.manual_seed(args.seed)
    folder = make_data.HERE / args.model
    model = architecture.Model(architecture.Config.load(folder), dataset.LONGEST)
    if args.init:
        architecture.load(model, args.init)
    model.to(args.device)
    if args.compile:
        for layer in model.model.layers:
            layer.compile()
    phase, load = train(model, args, folder)
    architecture.save(model, args.out / "model.safetensors")
    before = measured.read(args.init.parent)["training"] if args.init else []
    measured.record(args.out, "training", before + [phase])
    if load is not None:
        measured.record(args.out, "expert_load",
                        [[round(share, 4) for share in layer] for layer in load.tolist()])


if __name__ == "__main__":
    main()
