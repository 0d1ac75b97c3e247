"""Whether a sampler keeps the contract: one list of checks for all that are registered, third-party ones included."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Literal

from harness.conformance import declared, edits, runs
from harness.conformance.probe import Failed, NotApplicable, Probe

Check = Callable[[Probe], None]
CHECKS: tuple[Check, ...] = (*declared.CHECKS, *edits.CHECKS, *runs.CHECKS)
"""Every check; the first line of its docstring is what it claims."""


@dataclass(frozen=True)
class Verdict:
    """What a check found: `claim`, and where it does not pass the reason."""

    claim: str
    outcome: Literal["pass", "fail", "n/a"]
    reason: str = ""


def check_sampler(name: str) -> Iterator[Verdict]:
    """The verdict of each check on the registered sampler `name`, one after the other; raises UserError for a
    generator, which edits no canvas."""
    probe = Probe(name)
    for check in CHECKS:
        yield judge(check, probe)


def judge(check: Check, probe: Probe) -> Verdict:
    """The verdict of one check."""
    claim = (check.__doc__ or "").strip().split("\n")[0].rstrip(".")
    try:
        check(probe)
    except NotApplicable as reason:
        return Verdict(claim, "n/a", str(reason))
    except Failed as reason:
        return Verdict(claim, "fail", str(reason))
    except Exception as error:  # a sampler under test may raise anything; that is a finding, not the end
        return Verdict(claim, "fail", f"{type(error).__name__}: {error}")
    return Verdict(claim, "pass")
