"""The generated part of docs/samplers.md: `python -m harness.cli.docs`, from the root of the repository."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from harness.registry import Entry
from harness.samplers import SamplerInfo, samplers

BEGIN = "<!-- What follows is generated from the registry by `python -m harness.cli.docs`. -->"
END = "<!-- End of the generated part. -->"
_PACKAGE = "harness."


def updated(text: str) -> str:
    """`text` with what is between the two markers made anew."""
    before, rest = text.split(BEGIN)
    _, after = rest.split(END)
    return f"{before}{BEGIN}\n\n{reference()}\n{END}{after}"


def reference() -> str:
    """All built-in samplers: one table, and one section for each."""
    built_in = [entry for entry in samplers if entry.origin.startswith(_PACKAGE)]
    return "\n".join([_overview(built_in), *(_section(entry) for entry in built_in)])


def _overview(entries: list[Entry[SamplerInfo]]) -> str:
    lines = [
        f"{len(entries)} samplers.\n",
        "| sampler | knob | a step costs | revises | what it does |",
        "|" + " --- |" * 5,
    ]
    for entry in entries:
        info = entry.info
        revises = " and ".join(_revisions(info)) or "no"
        lines.append(
            f"| [`{entry.name}`](#{entry.name}) | {_code(info.knob)} | {info.cost} | {revises} | {info.summary} |"
        )
    return "\n".join([*lines, ""])


def _section(entry: Entry[SamplerInfo]) -> str:
    info = entry.info
    facts = [f"Source: {info.citation}", f"Knob: {_knob(info)}", f"Cost of a step: {info.cost}"]
    if revisions := _revisions(info):
        facts.append(f"May {' and '.join(revisions)} tokens that it has committed")
    if info.generator:
        facts.append("A generator: it makes whole outputs by a loop of its own, on models that offer what it needs")
    if info.official:
        facts.append(f"`protocol=official`, the release to the letter, stands for {_settings(info.official)}")
    facts += [f"`protocol={name}` stands for {_settings(settings)}" for name, settings in info.protocols]
    if info.needs:
        facts.append(f"Needs {', '.join(sorted(info.needs))}")
    lines = [f"### {entry.name}", "", f"{info.summary}.", "", *(f"* {fact}" for fact in facts), ""]
    fields = dataclasses.fields(entry.load())
    if fields:
        lines += [
            "| parameter | default | range | meaning |",
            "| --- | --- | --- | --- |",
            *map(_parameter, fields),
            "",
        ]
    return "\n".join(lines)


def _settings(settings: Iterable[tuple[str, object]]) -> str:
    return " and ".join(f"`{name}={str(value).lower()}`" for name, value in settings)


def _parameter(field: dataclasses.Field[Any]) -> str:
    meaning = str(field.metadata.get("doc", "")).replace("|", "\\|")
    return f"| `{field.name}` | {_code(field.default)} | {_range(field)} | {meaning} |"


def _range(field: dataclasses.Field[Any]) -> str:
    low, high, choices = (field.metadata.get(key) for key in ("low", "high", "choices"))
    if choices:
        return ", ".join(f"`{choice}`" for choice in choices)
    if isinstance(field.default, bool):
        return "`True`, `False`"
    if low is None and high is None:
        return ""
    return f"at least {low:g}" if high is None else f"{low:g} to {high:g}"


def _knob(info: SamplerInfo) -> str:
    if info.knob is None:
        return "none, there is one setting"
    if info.knob == "steps":
        return "`steps`, the budgets of the suite"
    return f"`{info.knob}`, by default at {', '.join(f'{value:g}' for value in info.sweep)}"


def _revisions(info: SamplerInfo) -> list[str]:
    return [word for word, flag in (("re-mask", info.may_remask), ("overwrite", info.may_overwrite)) if flag]


def _code(value: Any) -> str:
    return "none" if value is None or value == "" else f"`{value}`"


def main(path: Path = Path("docs/samplers.md")) -> None:
    """Write the generated part anew."""
    text = updated(path.read_text(encoding="utf-8"))
    path.write_text(re.sub(r"\n{3,}", "\n\n", text), encoding="utf-8")


if __name__ == "__main__":
    main()
