"""`figure` and `ls figures`, as a user types them."""

import json
import re
from pathlib import Path

import pandas as pd
import pytest

from harness.catalogue import bundled

SUITE = """
name: tiny
batch_size: 20
sweeps:
  - models: {name: exact/chain, length: [4, 8]}
    tasks: exact
    samplers: [confidence, random, {name: punt, epsilon: [0.1, 1]}]
    budgets: [1, 4]
    limit: 12
"""
FIGURE = """
name: small
summary: A figure of its own
paper: Nobody 2025
forms:
  mini:
    suite: tiny.yaml
    lengths: {argument: length, tokens: {4: 4, 8: 8}}
    published: [{task: exact, sampler: punt, cost: 2, value: 0.25, source: Nobody 2025}]
drawings:
  - {kind: curves, axes: [nfe, steps]}
"""
ALL = """
  - {kind: pareto}
  - {kind: wins}
  - {kind: effects}
  - {kind: knob, sampler: punt, baselines: [confidence]}
  - {kind: gain, sampler: punt, setting: epsilon=1, baselines: [confidence]}
  - {kind: order}
  - {kind: activity}
"""


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path("tiny.yaml").write_text(SUITE)
    Path("small.yaml").write_text(FIGURE)
    return tmp_path


def test_figures_are_listed(mdm):
    listing = mdm("ls figures").out
    assert re.search(r"^punt_nfe +Score against model calls, .* arXiv 2510\.21961$", listing, re.M)
    assert len(listing.splitlines()) == 1 + len(list(bundled("figures").glob("*.yaml")))


def test_a_figure_runs_what_is_lacking_and_draws_the_same_bytes_again(folder, mdm):
    done = mdm("figure small.yaml")
    assert done.code == 0, done.err
    drawn = folder / "results" / "tiny" / "figures"
    first = {path.name: path.read_bytes() for path in drawn.iterdir()}
    assert set(first) == {"small.png", "small.pdf", "small.csv"}
    again = mdm("figure small.yaml")
    assert "samples made" not in again.err  # nothing was lacking
    assert {path.name: path.read_bytes() for path in drawn.iterdir()} == first

    curves = pd.read_csv(drawn / "small.csv")
    top = curves[(curves["label"] == "confidence") & (curves["axis"] == "steps")]
    assert sorted(top["cost"]) == [1, 1, 4, 4]
    punt = curves[curves["label"] == "punt"].pivot_table("cost", ["model", "setting"], "axis")
    assert (punt["nfe"] > punt["steps"]).all()  # probes cost calls and are no steps


def test_models_are_compared_by_groups_and_over_their_training(folder, mdm):
    Path("pair.yaml").write_text("""
name: pair
sweeps:
  - models: [{name: exact/chain, length: 4, seed: [0, 1]}, {name: exact/tree, sections: 1, details: 2}]
    tasks: exact
    samplers: [random, confidence]
    budgets: [1, 4]
    limit: 20
""")
    for seed in (0, 1):
        lines = [{"step": step, "loss": 1.0} for step in (1, 2)] + [
            {"step": step, "loss": 0.5, "spent": 10.0 * step, "score": step + seed} for step in (3, 6)
        ]
        Path(f"chain_{seed}.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    Path("pair_figure.yaml").write_text("""
name: pair
summary: Two models
paper: Nobody 2025
forms:
  mini:
    suite: pair.yaml
    groups: {chains: "exact/chain:seed=0|1", tree: exact/tree}
    logs: {chains: [chain_0.jsonl, chain_1.jsonl]}
drawings:
  - {kind: groups, axis: steps}
  - {kind: training, axis: {spent: cost}, numbers: {score: score}}
""")
    done = mdm("figure pair_figure.yaml")
    assert done.code == 0, done.err
    drawn = folder / "results" / "pair" / "figures"
    groups = pd.read_csv(drawn / "pair_groups.csv")
    assert set(groups["model"]) == {"random", "confidence"}
    assert groups.groupby("label")["seeds"].unique().map(list).to_dict() == {"chains": [2], "tree": [1]}
    assert sorted(groups["cost"]) == [1, 1, 1, 1, 4, 4, 4, 4]
    training = pd.read_csv(drawn / "pair_training.csv")
    assert training[["step", "cost", "score", "score.stderr"]].values.tolist() == [[3, 30, 3.5, 0.5], [6, 60, 6.5, 0.5]]
    text = Path("pair_figure.yaml").read_text()
    turned = text.replace("axis: steps}", "axis: steps, panels: groups}").replace(
        "axis: {spent: cost}", "axis: {step: step}"
    )
    Path("pair_figure.yaml").write_text(turned)
    assert mdm("figure pair_figure.yaml").code == 0
    assert pd.read_csv(drawn / "pair_training.csv")["cost"].tolist() == [3, 6]
    turned = pd.read_csv(drawn / "pair_groups.csv")
    assert turned.groupby("model")["label"].unique().map(sorted).to_dict() == {
        "chains": ["confidence", "random"],
        "tree": ["confidence", "random"],
    }
    assert sorted(turned["value"]) == sorted(groups["value"])
    Path("pair_figure.yaml").write_text(text.replace("tree: exact/tree", "tree: exact/parity"))
    assert "warning: groups: no cell of the suite is of tree" in mdm("figure pair_figure.yaml").err


@pytest.mark.slow
def test_every_kind_of_drawing_is_made_from_a_run(folder, mdm):
    Path("small.yaml").write_text(FIGURE + ALL.lstrip("\n"))
    done = mdm("figure small.yaml")
    assert done.code == 0, done.err
    assert "warning" not in done.err
    drawn = folder / "results" / "tiny" / "figures"
    kinds = ("curves", "pareto", "wins", "effects", "knob", "gain", "order", "activity")
    names = {f"small_{kind}.{suffix}" for kind in kinds for suffix in ("png", "pdf", "csv")}
    assert {path.name for path in drawn.iterdir()} == names
    assert pd.read_csv(drawn / "small_gain.csv")["length"].tolist() == [4, 8]
    effects = pd.read_csv(drawn / "small_effects.csv")
    assert effects["model"].tolist() == ["exact/chain (length=4)", "exact/chain (length=8)"]
    assert (effects["difference"] > 0).all()
    assert (effects["low"] <= effects["difference"]).all()
    # Of this metric lower is better: the best sampler is the one that has less of it.
    assert effects["told"].str.match(r"\+\S+ \[[−+]\S+, \+\S+\]\n\S+ over \S+, 1 to 4 NFE").all()


def test_a_limit_makes_a_smaller_figure_and_samples_without_traces_are_named(folder, mdm):
    assert mdm("figure small.yaml --limit 3 --output out").code == 0
    assert set(pd.read_csv(folder / "out" / "figures" / "small.csv")["documents"]) == {3}
    next((folder / "out" / "cells").glob("*/traces.jsonl")).unlink()
    done = mdm("figure small.yaml --output out --limit 3")
    assert done.code == 2
    assert re.search(r"error: out/cells/\w+: 3 samples have no trace, .* choose another --output", done.err)


def test_a_drawing_with_nothing_to_show_does_not_keep_the_others(folder, mdm):
    Path("small.yaml").write_text(FIGURE + "  - {kind: knob, sampler: eb, baselines: [random]}\n")
    done = mdm("figure small.yaml --limit 2")
    assert done.code == 0
    assert "warning: drawing 'knob': no panel has the curve 'eb'" in done.err
    assert {path.name for path in (folder / "results" / "tiny" / "figures").glob("*.png")} == {"small_curves.png"}


def test_what_a_paper_form_needs_is_named_and_nothing_is_run(folder, mdm):
    Path("tiny.yaml").write_text(SUITE.replace("exact/chain", "chains").replace("tasks: exact", "tasks: puzzles"))
    Path("small.yaml").write_text(FIGURE.replace("mini:", "paper:"))
    done = mdm("figure small.yaml --form paper")
    assert done.code == 2
    assert "tiny.yaml needs model 'chains', task 'puzzles', not known here" in done.err
    assert not (folder / "results").exists()


@pytest.mark.parametrize(
    ("command", "message"),
    [
        ("figure punt_nfee", "unknown figure 'punt_nfee'. Did you mean 'punt_nfe'?"),
        ("figure small.yaml --form paper", "small.yaml: there is no form 'paper'; draw --form mini"),
        ("figure absent.yaml", "cannot read absent.yaml"),
    ],
)
def test_mistakes_are_named(folder, mdm, command, message):
    done = mdm(command)
    assert done.code == 2
    assert message in done.err


def test_a_measurement_of_corrections_is_made_once(folder, mdm):
    Path("scores.yaml").write_text(
        "{name: scores, summary: s, paper: p, forms: {mini: {corrections: {models: ['exact/chain:length=8'],"
        " mask_ratios: [0.0, 0.5], error_shares: [0.2], seeds: [0], documents: 3, steps: 4}}}}"
    )
    first = mdm("figure scores.yaml")
    assert first.code == 0, first.err
    assert "mask ratio 0.5" in first.out
    made = {path.name: path.read_bytes() for path in (folder / "results" / "scores_mini").iterdir()}
    assert set(made) == {"settings.json", *(f"corrections.{suffix}" for suffix in ("csv", "md", "png", "pdf"))}
    again = mdm("figure scores.yaml")
    assert "mask ratio" not in again.out
    assert {path.name: path.read_bytes() for path in (folder / "results" / "scores_mini").iterdir()} == made
