"""Caches against the exact model: the same rows by turns, what is computed, how long it takes, which tokens stay."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from harness.bench.overhead import now, quartiles
from harness.bench.table import machine, spread
from harness.components import make_sampler
from harness.engine.generator import Generation, Job
from harness.engine.loop import CanvasEngine
from harness.models.text.cached import Begin, CachedDenoiser, dllm_cache, fast_dllm
from harness.models.text.codec import ByteCodec
from harness.models.text.denoiser import TextDenoiser
from harness.models.text.families import LLADA_8B
from harness.models.text.loading import dtype_of, random_network
from harness.samplers import samplers
from harness.spec import Decoding, SamplerSpec
from harness.task import Request

CACHES: Mapping[str, Begin | None] = {
    "exact": None,
    "`fast_dllm`, `cache=prefix`": fast_dllm(cache="prefix"),
    "`fast_dllm`, `cache=dual`": fast_dllm(cache="dual"),
    "`dllm_cache`, K_p = 100, K_r = 7, ρ = 0.25": dllm_cache(),
}
_HEADER = (
    "| model | token-forwards | of exact | FLOPs | of exact | seconds | exact / it | tokens as exact |\n"
    "| --- | ---: | ---: | ---: | ---: | ---: | ---: | ---: |\n"
)


@dataclass(frozen=True)
class Cached:
    """What one model took for the batch.

    tokens   token-forwards of all rows
    flops    FLOPs of all rows
    seconds  of each repeat
    agree    share of generated tokens that are the exact model's
    """

    name: str
    tokens: int
    flops: float
    seconds: tuple[float, ...]
    agree: float


def text_rows(count: int, prompt: int, tokens: int) -> list[Request]:
    """Rows of `prompt` tokens, each of another letter, after which `tokens` are to be generated."""
    return [Request(f"{i:04d}", prompt=chr(97 + i % 26) * prompt, length=tokens) for i in range(count)]


def llada_shaped(vocab: int, width: int, layers: int, dtype: str, device: str) -> TextDenoiser:
    """LLaDA's network at another size, with random weights; its texts end nowhere, a prompt's tokens are its bytes."""
    sizes = {"vocab_size": vocab, "d_model": width, "n_layers": layers, "n_heads": max(width // 64, 1)}
    config = {**LLADA_8B.random["8b"], **sizes, "mlp_hidden_size": 3 * width}
    network = random_network(LLADA_8B.layout, config, dtype_of(dtype), device)
    return TextDenoiser(network, ByteCodec(), mask_id=vocab - 1, eos_ids=frozenset())


def compare(exact: TextDenoiser, block: int, steps: int, rows: Sequence[Request], repeats: int) -> list[Cached]:
    """The rows by the sampler `llada` at temperature 0 in one batch, by each of `CACHES`, `repeats` times by turns,
    after a warm-up."""
    models = {name: exact if begin is None else CachedDenoiser(exact, begin) for name, begin in CACHES.items()}
    made, info = make_sampler(SamplerSpec(name="llada", args={"block": block})), samplers["llada"].info
    jobs = [Job("bench", row, 0, made, info, Decoding(temperature=0.0), steps, 0) for row in rows]
    seconds: dict[str, list[float]] = {name: [] for name in models}
    outputs: dict[str, list[Generation]] = {}
    for model in models.values():
        list(CanvasEngine(model, len(jobs)).generate([replace(job, budget=2) for job in jobs]))
    for _ in range(repeats):
        for name, model in models.items():
            start = now(exact.device)
            outputs[name] = list(CanvasEngine(model, len(jobs)).generate(jobs))
            seconds[name].append(now(exact.device) - start)
    reference = _tokens(outputs["exact"])
    return [
        Cached(
            name,
            sum(one.cost.token_forwards for one in outputs[name]),
            sum(one.cost.flops or 0.0 for one in outputs[name]),
            tuple(seconds[name]),
            float((_tokens(outputs[name]) == reference).mean()),
        )
        for name in models
    ]


def _tokens(made: Sequence[Generation]) -> np.ndarray:
    ordered = sorted(made, key=lambda one: one.job.request.document)
    return np.array([one.output.tokens for one in ordered])


def table(found: Sequence[Cached], told: Mapping[str, str], device: str) -> str:
    """Markdown with shares of the first, the exact model's; ratios of seconds are of the same turn."""
    facts = {**machine(device), **told}
    lines = [f"* {name}: {value}" for name, value in facts.items()]
    exact = found[0]
    rows = []
    for one in found:
        ratios = (np.array(exact.seconds) / np.array(one.seconds)).tolist()
        cells = (
            one.name,
            str(one.tokens),
            f"{one.tokens / exact.tokens:.1%}",
            f"{one.flops:.3g}",
            f"{one.flops / exact.flops:.1%}",
            spread(quartiles(one.seconds), "{:.3g}"),
            spread(quartiles(ratios), "{:.3g}"),
            f"{one.agree:.1%}",
        )
        rows.append(f"| {' | '.join(cells)} |")
    return "\n".join(["# Caches\n", *lines, "", _HEADER + "\n".join(rows), ""])
