"""`bench caches`: what approximate decoding saves, and which tokens it changes."""

from __future__ import annotations

from pathlib import Path

import click

from harness.cli.options import check_steps, llada_rows, llama_shape, table_of_device, tell

_AT_LEAST_1 = click.IntRange(min=1)


@click.command()
@llada_rows
@click.option("--steps", type=_AT_LEAST_1, default=32, show_default=True, help="Steps to generate them in.")
@click.option("--block", type=_AT_LEAST_1, default=32, show_default=True, help="Tokens of a block.")
@click.option("--repeats", type=_AT_LEAST_1, default=3, show_default=True, help="Times that all are timed by turns.")
@table_of_device
def caches(
    vocab: int, width: int, layers: int, prompt: int, tokens: int, steps: int, block: int, batch: int, repeats: int,
    dtype: str, device: str, output: Path | None,
) -> None:  # fmt: skip
    """Time the sampler `llada` on a model of LLaDA's shape with random weights, exact and with each cache, by turns, at
    temperature 0: token-forwards, FLOPs, seconds, and the share of tokens that are the exact model's.

    With random weights tokens agree less than a trained model's would: quality is for a run on a task to tell.
    """
    check_steps(steps, tokens)
    llama_shape(vocab, width, layers)

    from harness.bench.caches import compare, llada_shaped, table, text_rows

    denoiser = llada_shaped(vocab, width, layers, dtype, device)
    rows = text_rows(batch, prompt, tokens)
    found = compare(denoiser, block, steps, rows, repeats)
    told = {
        "model": f"width {width}, {layers} layers, vocabulary {vocab}, {dtype}",
        "rows": f"{batch} of {prompt} + {tokens} tokens in {steps} steps, blocks of {block}",
        "repeats": str(repeats),
    }
    tell(table(found, told, device), output)
