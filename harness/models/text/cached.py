"""Language models that remember keys, values or features of earlier calls: approximate, and named so."""

from __future__ import annotations

import inspect
import typing
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from harness.errors import UserError, did_you_mean
from harness.models.base import Inputs, Memory, Recalled
from harness.models.text.denoiser import TextDenoiser
from harness.models.text.families import DREAM_7B, LLADA_8B
from harness.models.text.features import FeatureMemory
from harness.models.text.memory import BlockMemory
from harness.models.text.model import Family, factory, revision_of
from harness.models.text.network import TextNetwork

Begin = Callable[[TextNetwork, int, int, bool], BlockMemory | FeatureMemory]
"""From a network, slots, length of the rows, and whether logits are those of the next position, to a memory."""
_CACHES = ("prefix", "dual")


class CachedDenoiser(TextDenoiser):
    """A `TextDenoiser` whose calls take from a memory what they do not compute.

    It offers nothing else: guidance, likelihoods and canvases other than the sampler's own would each have to be
    remembered as well.
    """

    def __init__(self, exact: TextDenoiser, begin: Begin) -> None:
        special = exact.mask_id, exact.eos_ids
        super().__init__(exact.transformer, exact.codec, *special, exact.shift, exact.length_bucket)
        self.capabilities = frozenset({"memory"})
        self._begin = begin

    def memory(self, rows: int, length: int) -> Memory:
        """See `ApproximateDenoiser.memory`."""
        assert isinstance(self.transformer, TextNetwork)
        return self._begin(self.transformer, rows, length, self.shift)

    @torch.inference_mode()
    def recall(self, inputs: Inputs, need: Tensor, block: Tensor, memory: BlockMemory | FeatureMemory) -> Recalled:
        """See `ApproximateDenoiser.recall`."""
        assert isinstance(self.transformer, TextNetwork)
        work = memory.run(inputs, self._mask(inputs), need, block)
        told = self._told(need.flatten().nonzero().squeeze(1), need.shape[1])
        logits = self._predicted(work.hidden.flatten(0, 1)[told])
        return Recalled(logits, work.tokens, work.flops + self.transformer.head_flops(need.sum(dim=1)))


def fast_dllm(*, cache: str = "dual") -> Begin:
    """The cache `prefix`, of all that is before the sampler's block, or `dual`, of all that is around it."""
    if cache not in _CACHES:
        raise UserError(f"cache is {cache!r}; it must be prefix or dual.{did_you_mean(cache, _CACHES)}")
    return lambda network, rows, length, shift: BlockMemory(network, rows, length, cache == "dual", shift)


def dllm_cache(*, prompt_interval: int = 100, response_interval: int = 7, transfer: float = 0.25) -> Begin:
    """The prompt's features are renewed every `prompt_interval` calls (K_p), the response's every `response_interval`
    (K_r), and between these a share `transfer` (ρ) of the response's."""
    for name, value in (("prompt_interval", prompt_interval), ("response_interval", response_interval)):
        if value < 1:
            raise UserError(f"{name} is {value}; it must be at least 1.")
    if not 0 <= transfer <= 1:
        raise UserError(f"transfer is {transfer}; it must be between 0 and 1.")
    return lambda network, rows, length, shift: FeatureMemory(
        network, rows, length, prompt_interval, response_interval, transfer
    )


def cached(family: Family, cache: Callable[..., Begin]) -> tuple[Callable[..., TextDenoiser], Callable[..., str]]:
    """Loader and revision of the family's network with a cache; they take the arguments of `cache`, and then those of
    the exact model but for `device_map`: what is remembered stands on one device."""
    exact, exact_revision = factory(family), revision_of(family)
    own, others = inspect.signature(cache).parameters, dict(inspect.signature(exact).parameters)
    del others["device_map"]

    def begin(args: dict[str, Any]) -> Begin:
        return cache(**{name: args.pop(name) for name in own if name in args})

    def load(**args: Any) -> TextDenoiser:
        memory = begin(args)
        return CachedDenoiser(exact(**args), memory)

    def revision(**args: Any) -> str:
        begin(args)
        return exact_revision(**args)

    load.__signature__ = inspect.Signature([*own.values(), *others.values()])  # type: ignore[attr-defined]
    load.__annotations__ = {**typing.get_type_hints(exact), **typing.get_type_hints(cache)}
    return load, revision


llada_fast_dllm, llada_fast_dllm_revision = cached(LLADA_8B, fast_dllm)
llada_dllm_cache, llada_dllm_cache_revision = cached(LLADA_8B, dllm_cache)
dream_fast_dllm, dream_fast_dllm_revision = cached(DREAM_7B, fast_dllm)
dream_dllm_cache, dream_dllm_cache_revision = cached(DREAM_7B, dllm_cache)
