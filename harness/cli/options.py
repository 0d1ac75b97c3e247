"""Options that several verbs share, and the parsing of their values."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from harness.errors import UserError

if TYPE_CHECKING:
    from harness.models.random_llama import Shape

Command = TypeVar("Command", bound=Callable[..., Any])

include_path = click.option(
    "--include-path",
    "include",
    multiple=True,
    type=click.Path(path_type=Path),
    help="Folder with tasks, suites, samplers or models of your own; may be repeated.",
)
_DATA = click.option(
    "--data-dir",
    envvar="MDM_HARNESS_DATA",
    help="Local copies of datasets, instead of the hub [env: MDM_HARNESS_DATA].",
)
allow_code = click.option(
    "--allow-code-execution",
    "allow_code",
    is_flag=True,
    help="Let tasks such as lm_eval:humaneval run the code that a model writes, under limits.",
)


class Rows(click.ParamType):  # type: ignore[type-arg]
    """A number of rows, at least 1, or `auto`."""

    name = "rows"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """As `SuiteFile.batch_size` has it."""
        if value != "auto" and not (str(value).isdecimal() and int(value) >= 1):
            self.fail(f"{value!r} is neither a whole number of at least 1 nor auto.", param, ctx)
        return value if value == "auto" else int(value)


def sources(command: Command) -> Command:
    """`--include-path` and `--data-dir`."""
    return include_path(_DATA(command))


def table_of_device(command: Command) -> Command:
    """`--device`, and `--output` for the table of what was measured there."""
    output = click.option("--output", type=click.Path(path_type=Path), help="Markdown file to write the table to.")
    return click.option("--device", default="cpu", show_default=True)(output(command))


def tell(text: str, output: Path | None) -> None:
    """Print a table, and write it to the file of `--output`, if there is one."""
    click.echo(text, nl=False)
    if output is not None:
        output.write_text(text, encoding="utf-8")


def llama_shape(vocab: int, width: int, layers: int) -> Shape:
    """The sizes of a random model with heads of 64; UserError for a width that they do not divide."""
    from harness.models.random_llama import Shape

    heads = max(width // 64, 1)
    if width % (2 * heads):
        raise UserError(f"--width {width}: the model has {heads} heads; write a multiple of {2 * heads}")
    return Shape(vocab, width, layers, heads)


def whole_numbers(text: str | None, flag: str) -> list[int]:
    """`4,8,16` as numbers."""
    if text is None:
        return []
    numbers = []
    for item in text.split(","):
        try:
            numbers.append(int(item))
        except ValueError:
            raise UserError(f"{flag}: {item!r} in {text!r} is not a whole number; write {flag} 4,8,16") from None
    return numbers


def numbers(text: str | None, flag: str) -> list[float] | None:
    """`0,0.5,1` as numbers."""
    if text is None:
        return None
    try:
        return [float(item) for item in text.split(",")]
    except ValueError:
        raise UserError(f"{flag}: {text!r} is not a number, or several with commas between") from None
