"""The network that samplers are timed on: its last layer runs where it is asked, and its FLOPs are torch's."""

import pytest
import torch
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.utils.flop_counter import FlopCounterMode

from harness.models.base import Inputs
from harness.models.random_llama import RandomDenoiser, Shape

MODEL = RandomDenoiser(Shape(vocab_size=50, width=32, depth=2, heads=2), 10)
INDEX = torch.tensor([0, 3, 9, 21, 29])  # three of the first row, none of the second, two of the last


@pytest.mark.parametrize("outputs", [frozenset(), frozenset({"attention"})], ids=["plain", "attention"])
def test_the_last_layer_runs_where_it_is_asked_and_is_charged(outputs):
    tokens = torch.randint(0, 50, (3, 10), generator=torch.Generator().manual_seed(0))
    label = {"label": torch.tensor([0, 1, 2])}
    inputs = Inputs(tokens, tokens >= 0, torch.arange(10).repeat(3, 1), label, outputs=outputs)
    with torch.inference_mode():
        hidden, maps = MODEL.network(inputs)
        whole = MODEL.network.head(hidden).flatten(0, 1)[INDEX]
        with FlopCounterMode(display=False) as counter, sdpa_kernel(SDPBackend.MATH):
            logits, extra = MODEL.logits(inputs, INDEX)
    torch.testing.assert_close(logits[:, :-1], whole[:, :-1], rtol=1e-5, atol=1e-5)
    if outputs:
        torch.testing.assert_close(extra["attention"], maps)
    assert MODEL.flops(torch.full((3,), 10), torch.tensor([3, 0, 2])).sum() == counter.get_total_flops()
