"""`bench caches`: what approximate decoding saves, and which tokens it changes."""

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
@click.option("--steps", type=_AT_LEAST_1, default=32, show_default=True, help="Steps to generate them in.")
@click.option("--block", type=_AT_LEAST_1, default=32, show_default=True, help="Tokens of a block.")
@click.option("--batch", type=_AT_LEAST_1, default=1, show_default=True, help="Rows side by side.")
@click.option("--repeats", type=_AT_LEAST_1, default=3, show_default=True, help="Times that all are timed by turns.")
@click.option("--dtype", type=click.Choice(["float32", "bfloat16"]), default="float32", show_default=True)
@table_of_device
def caches(
    vocab: int, width: int, layers: int, prompt: int, tokens: int, steps: int, block: int, batch: int, repeats: int,
    dtype: str, device: str, output: Path | None,
) -> None:  # fmt: skip
    """Time the sampler `llada` on a model of LLaDA's shape with random weights, exact and with each cache, by turns, at
    temperature 0: token-forwards, FLOPs, seconds, and the share of tokens that are the exact model's.

    With random weights tokens agree less than a trained model's would: quality is for a run on a task to tell.
    """
    if steps > tokens:
        raise UserError(f"--steps {steps}: there are at most as many as the {tokens} tokens.")
    llama_shape(vocab, width, layers)

    from harness.bench.caches import compare, llada_shaped, table
    from harness.task import Request

    denoiser = llada_shaped(vocab, width, layers, dtype, device)
    rows = [Request(f"{i:04d}", prompt=chr(97 + i % 26) * prompt, length=tokens) for i in range(batch)]
    found = compare(denoiser, block, steps, rows, repeats)
    told = {
        "model": f"width {width}, {layers} layers, vocabulary {vocab}, {dtype}",
        "rows": f"{batch} of {prompt} + {tokens} tokens in {steps} steps, blocks of {block}",
        "repeats": str(repeats),
    }
    text = table(found, told, device)
    tell(text, output)
