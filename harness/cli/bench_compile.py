"""`bench compile`: what `--compile` gains, and what it takes first."""

from __future__ import annotations

from pathlib import Path

import click

from harness.cli.options import llama_shape, table_of_device, tell
from harness.errors import UserError

_AT_LEAST_1 = click.IntRange(min=1)


@click.command()
@click.option("--vocab", type=click.IntRange(min=258), default=126_464, show_default=True, help="Of the model.")
@click.option("--width", type=_AT_LEAST_1, default=1024, show_default=True, help="Width of the model.")
@click.option("--layers", type=_AT_LEAST_1, default=8, show_default=True, help="Layers of the model.")
@click.option("--prompt", type=_AT_LEAST_1, default=64, show_default=True, help="Tokens before those to generate.")
@click.option("--tokens", type=_AT_LEAST_1, default=128, show_default=True, help="Tokens to generate.")
@click.option("--steps", type=_AT_LEAST_1, default=8, show_default=True, help="Steps to generate them in.")
@click.option("--batch", type=_AT_LEAST_1, default=1, show_default=True, help="Rows side by side.")
@click.option("--samplers", default="confidence,entropy", show_default=True, help="By name, at their defaults.")
@click.option("--repeats", type=_AT_LEAST_1, default=5, show_default=True, help="Times that both are timed by turns.")
@click.option("--dtype", type=click.Choice(["float32", "bfloat16"]), default="float32", show_default=True)
@table_of_device
def compile(
    vocab: int, width: int, layers: int, prompt: int, tokens: int, steps: int, batch: int, samplers: str, repeats: int,
    dtype: str, device: str, output: Path | None,
) -> None:  # fmt: skip
    """Time the passes over the vocabulary, plain and fused, and then samplers on a model of LLaDA's shape with random
    weights, plain and compiled, by turns, at temperature 0."""
    if steps > tokens:
        raise UserError(f"--steps {steps}: there are at most as many as the {tokens} tokens.")
    llama_shape(vocab, width, layers)

    import torch

    from harness.bench.caches import llada_shaped
    from harness.bench.compiling import models, passes, table
    from harness.samplers import samplers as known
    from harness.task import Request

    names = samplers.split(",")
    if wrong := [name for name in names if known[name].info.knob != "steps" or not known[name].info.writes]:
        raise UserError(f"--samplers {samplers}: {wrong[0]!r} takes no number of steps.")
    rows = [Request(f"{i:04d}", prompt=chr(97 + i % 26) * prompt, length=tokens) for i in range(batch)]
    click.echo("passes over the vocabulary", err=True)
    found = passes(tokens, vocab, torch.device(device), repeats)
    click.echo(samplers, err=True)
    found += models(llada_shaped(vocab, width, layers, dtype, device), names, steps, rows, repeats)
    told = {
        "model": f"width {width}, {layers} layers, vocabulary {vocab}, {dtype}",
        "rows": f"{batch} of {prompt} + {tokens} tokens in {steps} steps",
        "passes": f"over {tokens} positions, float32",
        "repeats": str(repeats),
    }
    tell(table(found, told, device), output)
