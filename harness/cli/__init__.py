"""The command line: one file a verb, imported when the verb is used, so that `--help` and `ls` stay quick."""

from __future__ import annotations

import sys
from collections.abc import Sequence

import click

from harness.cli.lazy import LazyGroup
from harness.errors import RunError, UserError

_VERBS = {
    "run": "Run a suite, or models x tasks x samplers x budgets given by flags.",
    "ls": "List tasks, samplers, models, suites or figures.",
    "validate": "Check a suite, its data and its scorers; nothing is computed.",
    "score": "Score a run again, or a file of responses from elsewhere.",
    "import": "Bring outputs that were made elsewhere into a run, to be scored and compared here.",
    "merge": "Put parts of a run, made in folders of their own, together.",
    "export": "Write the cells of a run as files of another program.",
    "report": "Leaderboard and curves of a run.",
    "compare": "One sampler against another on the same documents, with intervals.",
    "figure": "One figure of a paper: run what it lacks, and draw it.",
    "check": "Check that a sampler keeps the contract.",
    "bench": "Measure what samplers add to the model's time, and how well scores find errors.",
    "lm-eval": "lm-eval's own command, with --model mdm for our models and samplers.",
    "train": "Train a built-in model from its recipe.",
}


@click.command(
    cls=LazyGroup,
    commands_help=_VERBS,
    prefix="harness.cli.",
    heading="Verb",
    context_settings={"help_option_names": ["-h", "--help"]},
)
@click.version_option(package_name="mdm-harness")
def cli() -> None:
    """How much quality does a masked-diffusion sampler give for how much compute?

    Without a verb, the quickstart suite is run.
    """


def main(argv: Sequence[str] | None = None) -> None:
    """Run the command line and exit: 0 done, 1 failed, 2 a mistake in what was asked, 130 interrupted."""
    given = list(sys.argv[1:] if argv is None else argv) or ["run", "quickstart"]
    # lm-eval's flags are written with underscores.
    arguments = given if given[0] == "lm-eval" else [_hyphens(argument) for argument in given]
    try:
        cli.main(arguments, standalone_mode=False)
    except click.ClickException as error:
        error.show()
        sys.exit(error.exit_code)
    except UserError as error:
        _fail(str(error), 2)
    except RunError as error:
        _fail(str(error), 1)
    except (KeyboardInterrupt, click.Abort):
        _fail("interrupted; what was made is kept: run the same command again to go on", 130)


def _fail(message: str, code: int) -> None:
    print(f"error: {message}", file=sys.stderr)
    sys.exit(code)


def _hyphens(argument: str) -> str:
    """`--batch_size` and `--batch-size` are the same flag."""
    if not argument.startswith("--"):
        return argument
    flag, equals, value = argument.partition("=")
    return flag.replace("_", "-") + equals + value
