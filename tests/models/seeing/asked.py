"""What tests of models that see share: pictures of noise, questions about them, and what the model says."""

import numpy as np
import torch
from picture_files import shown

from harness.models.base import Inputs
from harness.task import Request


def picture(height, width, seed=0):
    return np.random.default_rng(seed).integers(0, 256, (height, width, 3), dtype=np.uint8)


def ask(image, document="0", length=4, prompt="What is it?"):
    return Request(document, prompt=prompt, image=None if image is None else shown(image), length=length)


def inputs_of(model, rows, length=None):
    """Rows as inputs, padded on the right."""
    length = length or max(len(row.tokens) for row in rows)
    tokens = torch.tensor([[*row.tokens, *[7] * (length - len(row.tokens))] for row in rows])
    valid = torch.tensor([[i < len(row.tokens) for i in range(length)] for row in rows])
    condition = {key: torch.tensor([row.condition[key] for row in rows]) for key in rows[0].condition}
    positions = torch.arange(length).repeat(len(rows), 1)
    for i, row in enumerate(rows):
        if row.positions is not None:
            positions[i, : len(row.positions)] = torch.tensor(row.positions)
    return Inputs(tokens, valid, positions, condition)


def answers(model, rows, length=None):
    """The logits (n, V) of each row's generated positions."""
    inputs = inputs_of(model, rows, length)
    logits, _ = model.logits(inputs, torch.arange(inputs.tokens.numel()))
    logits = logits.view(*inputs.tokens.shape, -1)
    return [logits[i, : len(row.tokens)][torch.tensor(row.editable)] for i, row in enumerate(rows)]
