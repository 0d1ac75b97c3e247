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
_AT_LEAST_1 = click.IntRange(min=1)

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


def llama_sizes(least: int) -> Callable[[Command], Command]:
    """`--vocab`, of `least` tokens or more, `--width` and `--layers` of a random model of LLaDA's shape."""

    def add(command: Command) -> Command:
        for option in (
            click.option("--layers", type=_AT_LEAST_1, default=8, show_default=True, help="Layers of the model."),
            click.option("--width", type=_AT_LEAST_1, default=1024, show_default=True, help="Width of the model."),
            click.option(
                "--vocab", type=click.IntRange(min=least), default=126_464, show_default=True,
                help="Size of the vocabulary.",
            ),
        ):  # fmt: skip
            command = option(command)
        return command

    return add


def llada_rows(command: Command) -> Command:
    """Sizes of a random model of LLaDA's shape that reads text, and of the rows that it generates: `--prompt`,
    `--tokens`, `--batch` and `--dtype`."""
    kinds = click.Choice(["float32", "bfloat16"])
    for option in (
        click.option("--dtype", type=kinds, default="float32", show_default=True),
        click.option("--batch", type=_AT_LEAST_1, default=1, show_default=True, help="Rows side by side."),
        click.option("--tokens", type=_AT_LEAST_1, default=128, show_default=True, help="Tokens to generate."),
        click.option(
            "--prompt", type=_AT_LEAST_1, default=64, show_default=True, help="Tokens before those to generate."
        ),
        llama_sizes(258),
    ):
        command = option(command)
    return command


def check_steps(steps: int, tokens: int) -> None:
    """UserError for more `--steps` than tokens to generate."""
    if steps > tokens:
        raise UserError(f"--steps {steps}: there are at most as many as the {tokens} tokens.")


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
