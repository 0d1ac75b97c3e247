"""`bench released`: how long the harness takes beside LLaDA's loop as released, on one model."""

from __future__ import annotations

from pathlib import Path

import click

from harness.cli.options import check_steps, llama_shape, llama_sizes, numbers, table_of_device, tell, whole_numbers
from harness.errors import UserError

_AT_LEAST_1 = click.IntRange(min=1)


@click.command()
@llama_sizes(3)
@click.option("--prompt", type=click.IntRange(min=0), default=64, show_default=True, help="Tokens before them.")
@click.option("--tokens", type=_AT_LEAST_1, default=128, show_default=True, help="Tokens to generate.")
@click.option("--steps", type=_AT_LEAST_1, default=16, show_default=True, help="Steps to generate them in.")
@click.option("--batches", default="1,4", show_default=True, help="Rows side by side, one or several numbers.")
@click.option("--temperatures", default="0,1", show_default=True, help="Token temperatures.")
@click.option("--repeats", type=_AT_LEAST_1, default=5, show_default=True, help="Times that both are timed by turns.")
@click.option("--dtype", type=click.Choice(["float32", "bfloat16"]), default="float32", show_default=True)
@table_of_device
def released(
    vocab: int, width: int, layers: int, prompt: int, tokens: int, steps: int, batches: str, temperatures: str,
    repeats: int, dtype: str, device: str, output: Path | None,
) -> None:  # fmt: skip
    """Time the sampler `llada` in the harness beside a plain loop that does what LLaDA's released code does, by turns.

    The model has LLaDA's shape and random weights. At temperature 0 both make the same tokens but for near-ties; above
    it they draw other numbers.
    """
    rows, heats = whole_numbers(batches, "--batches"), numbers(temperatures, "--temperatures")
    shape = llama_shape(vocab, width, layers)
    if not rows or min(rows) < 1:
        raise UserError(f"--batches {batches}: at least one row is needed.")
    if not heats or min(heats) < 0:
        raise UserError(f"--temperatures {temperatures}: must be at least 0.")
    check_steps(steps, tokens)

    import torch

    from harness.bench.released import compare, table
    from harness.models.random_llama import RandomDenoiser

    ids = range(1, prompt + 1)
    denoiser = RandomDenoiser(shape, tokens, [i % (vocab - 1) for i in ids], dtype=getattr(torch, dtype), device=device)
    measured = []
    for heat in heats:
        for batch in rows:
            click.echo(f"temperature {heat:g}, batch {batch}", err=True)
            measured.append(compare(denoiser, batch, steps, heat, repeats))
    sizes = f"width {width}, {layers} layers, vocabulary {vocab}, {dtype}"
    told = {"model": sizes, "rows": f"{prompt} + {tokens} tokens in {steps} steps", "repeats": str(repeats)}
    tell(table(measured, told, device), output)
