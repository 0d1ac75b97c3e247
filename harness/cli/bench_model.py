"""`bench model`: tokens a second of a model, with random weights or real ones."""

from __future__ import annotations

from pathlib import Path

import click

from harness.cli.options import include_path, table_of_device, tell, whole_numbers
from harness.errors import UserError

_AT_LEAST_1 = click.IntRange(min=1)


@click.command()
@click.option("--model", default="llada", show_default=True, help="A text model.")
@click.option("--model-args", default="random=8b", show_default=True, help="Its arguments: name=value,name=value.")
@click.option("--nfe", default="256,64,32", show_default=True, help="Forward passes, one or several.")
@click.option("--tokens", type=_AT_LEAST_1, default=256, show_default=True, help="Tokens to generate.")
@click.option("--prompt", type=click.IntRange(min=0), default=128, show_default=True, help="Characters before them.")
@click.option("--batch", type=_AT_LEAST_1, default=1, show_default=True, help="Rows side by side.")
@click.option("--compile", "compile_it", is_flag=True, help="Compile its network.")
@table_of_device
@include_path
def model(
    model: str,
    model_args: str,
    nfe: str,
    tokens: int,
    prompt: int,
    batch: int,
    compile_it: bool,
    device: str,
    output: Path | None,
    include: tuple[Path, ...],
) -> None:
    """Time a model at several numbers of forward passes: tokens a second, the share of time outside the forward pass,
    peak memory, and FLOP/s beside the rate at which the device multiplies matrices now.

    Random weights of the published size need no checkpoint: --model-args random=8b, or random=7b for dream.
    """
    from harness.bench.speed import measure, table
    from harness.catalogue import Catalogue
    from harness.components import compiled, resolve_model
    from harness.executors.estimate import device_rate
    from harness.executors.loader import ModelLoader
    from harness.grammar import parse_grids

    Catalogue(include)
    steps = whole_numbers(nfe, "--nfe")
    if not steps or min(steps) < 1 or max(steps) > tokens:
        raise UserError(f"--nfe {nfe}: a number of forward passes is at least 1 and at most the {tokens} tokens.")
    (grid,) = parse_grids(f"{model}:{model_args.replace(',', ':')}", "--model-args")
    (component,) = grid.components()
    spec = resolve_model(component.name, component.args, "--model-args")
    spec = compiled(spec, "bench model") if compile_it else spec
    load = ModelLoader(device)
    rate = device_rate(device, spec.dtype)
    denoiser = load(spec)
    rows = []
    for count in steps:
        click.echo(f"{count} forward passes", err=True)
        rows.append(measure(denoiser, count, tokens, prompt, batch))
    unread = {"pretrained", "hub_revision"} if spec.args.get("random") else set()
    shown = {name: value for name, value in spec.args.items() if value != "" and name not in unread}
    arguments = ", ".join(f"{name}={value}" for name, value in shown.items())
    told = {"model": f"{spec.name} ({arguments})", "rows": f"{batch}, {tokens} tokens after {prompt} characters"}
    text = table(rows, rate, told, device)
    tell(text, output)
