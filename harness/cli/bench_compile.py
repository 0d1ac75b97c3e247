"""`bench compile`: what `--compile` gains, and what it takes first."""

from __future__ import annotations

from pathlib import Path

import click

from harness.cli.options import check_steps, llada_rows, llama_shape, table_of_device, tell
from harness.errors import UserError

_AT_LEAST_1 = click.IntRange(min=1)


@click.command()
@llada_rows
@click.option("--steps", type=_AT_LEAST_1, default=8, show_default=True, help="Steps to generate them in.")
@click.option("--samplers", default="confidence,entropy", show_default=True, help="By name, at their defaults.")
@click.option("--repeats", type=_AT_LEAST_1, default=5, show_default=True, help="Times that both are timed by turns.")
@table_of_device
def compile(
    vocab: int, width: int, layers: int, prompt: int, tokens: int, steps: int, batch: int, samplers: str, repeats: int,
    dtype: str, device: str, output: Path | None,
) -> None:  # fmt: skip
    """Time the passes over the vocabulary, plain and fused, and then samplers on a model of LLaDA's shape with random
    weights, plain and compiled, by turns, at temperature 0."""
    check_steps(steps, tokens)
    llama_shape(vocab, width, layers)

    import torch

    from harness.bench.caches import llada_shaped, text_rows
    from harness.bench.compiling import models, passes, table
    from harness.samplers import samplers as known

    names = samplers.split(",")
    if wrong := [name for name in names if known[name].info.knob != "steps" or not known[name].info.writes]:
        raise UserError(f"--samplers {samplers}: {wrong[0]!r} takes no number of steps.")
    rows = text_rows(batch, prompt, tokens)
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
