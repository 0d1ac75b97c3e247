"""Errors that a user can act on."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Iterator
from contextlib import contextmanager


class UserError(Exception):
    """A mistake in what the user wrote or has on disk; the command line prints it without a traceback.

    The message names the file or flag, the key and the value, and says what would be right.
    """


class RunError(Exception):
    """A run that cannot go on, such as a model that returns NaN; the command line prints it without a traceback.

    What was committed before stays.
    """


@contextmanager
def noted(problems: list[str] | None) -> Iterator[None]:
    """A UserError inside goes to the list of `problems`; without a list it is raised."""
    try:
        yield
    except UserError as error:
        if problems is None:
            raise
        problems.append(str(error))


def did_you_mean(name: str, known: Iterable[str]) -> str:
    """`" Did you mean 'x'?"` for the closest known name, else the list of known names."""
    names = sorted(known)
    close = difflib.get_close_matches(name, names, n=1, cutoff=0.5)
    if close:
        return f" Did you mean {close[0]!r}?"
    return f" Known: {', '.join(names)}." if names else ""
