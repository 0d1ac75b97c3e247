"""The generated part of docs/samplers.md is what the registry says today."""

import dataclasses
import re
from pathlib import Path

import pytest

from harness.cli.docs import BEGIN, END, main, updated
from harness.samplers import SamplerInfo, samplers

ROOT = Path(__file__).parent.parent
PAGE = ROOT / "docs" / "samplers.md"
READING = ROOT / "docs" / "samplers_reading.md"
BUILT_IN = [entry for entry in samplers if entry.origin.startswith("harness.")]


def test_the_page_is_up_to_date():
    text = PAGE.read_text(encoding="utf-8")
    assert re.sub(r"\n{3,}", "\n\n", updated(text)) == text, "run: python -m harness.cli.docs"


@pytest.mark.parametrize("entry", BUILT_IN, ids=lambda entry: entry.name)
def test_every_sampler_has_its_section(entry):
    text = PAGE.read_text(encoding="utf-8")
    (section,) = re.findall(rf"^### {entry.name}\n(.*?)(?=^### |{END})", text, re.M | re.S)
    assert entry.info.citation in section
    for field in dataclasses.fields(entry.load()):
        (line,) = re.findall(rf"^\| `{field.name}` \|.*$", section, re.M)
        assert field.metadata["doc"].replace("|", "\\|") in line
        for choice in field.metadata["choices"]:
            assert f"`{choice}`" in line


def test_only_the_generated_part_is_replaced(tmp_path, monkeypatch):
    monkeypatch.setattr(samplers, "_entries", dict(samplers._entries))
    samplers.add("zz_mine", "mine:Mine", SamplerInfo("not ours", "nowhere"), origin="somewhere")
    page = tmp_path / "page.md"
    page.write_text(f"before\n\n{BEGIN}\nstale text\n{END}\n\nafter\n")
    main(page)
    text = page.read_text()
    assert text.startswith(f"before\n\n{BEGIN}\n")
    assert text.endswith(f"{END}\n\nafter\n")
    assert "stale text" not in text
    assert "### confidence" in text
    assert "zz_mine" not in text


def test_the_reading_names_as_dominated_what_its_code_finds_in_the_leaderboard(monkeypatch, capsys):
    text = READING.read_text(encoding="utf-8")
    (code,) = re.findall(r"^```python\n(.*?)^```$", text, re.M | re.S)
    monkeypatch.chdir(ROOT)
    exec(code, {})
    found = {model: names for model, *names in map(str.split, capsys.readouterr().out.splitlines())}
    rows = re.findall(r"^\| ((?:exact/\w+|digits)) \| (.*?) \|", text, re.M)
    assert {model: re.findall(r"`(\w+)`", names) for model, names in rows} == found


def test_every_sampler_of_the_leaderboard_is_in_the_reading():
    board = (ROOT / "results" / "reference" / "samplers" / "leaderboard.csv").read_text(encoding="utf-8")
    names = {entry.name for entry in BUILT_IN if re.search(rf"^\w+,[\w/]+,\"?{entry.name}\b", board, re.M)}
    assert len(names) >= 30
    text = READING.read_text(encoding="utf-8")
    assert not [name for name in names if f"`{name}`" not in text]
