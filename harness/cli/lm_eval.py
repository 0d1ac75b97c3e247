"""`lm-eval`: lm-evaluation-harness's own command, with our models and samplers in it."""

from __future__ import annotations

import sys

import click


@click.command(
    context_settings={"ignore_unknown_options": True, "allow_extra_args": True, "help_option_names": []},
    add_help_option=False,
)
@click.argument("arguments", nargs=-1, type=click.UNPROCESSED)
def lm_eval(arguments: tuple[str, ...]) -> None:
    """lm-eval's own command line, in which `--model mdm` is one of our models with one of our samplers."""
    from lm_eval.__main__ import cli_evaluate

    from harness.lm_model import register

    register()
    sys.argv = ["lm-eval", *arguments]
    cli_evaluate()
