"""A small transformer with random weights behind the denoiser of `digits`, and its rows as plain loops see them."""

import numpy as np
import torch
from plain import PlainRow
from scipy.special import log_softmax
from support import jobs

from harness.engine.generator import Job
from harness.models.digits import DigitsDenoiser
from harness.models.transformer import Transformer, TransformerConfig
from harness.task import Request


def random_digits(scale=3.0, depth=4):
    torch.manual_seed(0)
    network = Transformer(TransformerConfig(vocab_size=6, length=64, classes=10, width=16, depth=depth, heads=2))
    with torch.no_grad():
        network.head.weight.copy_(scale * torch.randn_like(network.head.weight) / 4)
        for block in network.blocks:
            block.qkv.weight.mul_(2.5)
    return DigitsDenoiser(network.double().eval())


def image_jobs(sampler, count, temperature, **args):
    return [
        Job(job.cell, Request(f"{i}", condition={"label": i}), *(getattr(job, name) for name in FIELDS))
        for i, job in enumerate(jobs(sampler, count, temperature=temperature, **args))
    ]


FIELDS = ("sample", "sampler", "info", "decoding", "budget", "seed")


class ImageRow(PlainRow):
    """One row of the transformer, with positions and an attention mask of the caller's, and attention maps."""

    def forward(self, tokens, positions=None, allowed=None):
        """(L, V) log-probabilities and (layers, L, L) attention; `allowed` (L, L) bool says who attends to whom."""
        self.calls += 1
        size = len(tokens)
        place = torch.arange(size) if positions is None else torch.tensor(positions)
        bias = None
        if allowed is not None:
            bias = torch.where(torch.tensor(allowed), 0.0, -torch.inf)[None]
        maps = []
        with torch.inference_mode():
            logits = self.model.network(
                torch.tensor(tokens)[None],
                place[None],
                self.condition["label"],
                torch.ones(1, size, dtype=bool),
                bias,
                maps,
            )
        padded = np.pad(logits[0].double().numpy(), ((0, 0), (0, 1)), constant_values=-np.inf)
        return log_softmax(padded, axis=-1), torch.stack([one[0] for one in maps]).numpy()
