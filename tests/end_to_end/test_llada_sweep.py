"""Published outputs, imported and scored: what more compute does to LLaDA on GSM8K and Sudoku, by document."""

import os
from pathlib import Path

import pytest

from harness.analysis.compare_text import comparison_text
from harness.analysis.frame import cell_frame
from harness.analysis.importing import read_files, write_cells
from harness.analysis.paired.panels import compare_panels
from harness.analysis.paired.ranking import rank_all
from harness.analysis.ranking_tables import ranking_text
from harness.analysis.scoring import score_run
from harness.catalogue import Catalogue
from harness.store import RunStore

CURVE = "llada"


@pytest.fixture(scope="module")
def table(tmp_path_factory):
    beside = Path(__file__).resolve().parents[2].parent / "shared" / "data"
    folder = Path(os.environ.get("MDM_HARNESS_DATA", beside)) / "llada_step_sweep"
    if not folder.is_dir():
        pytest.skip(f"no LLaDA step sweep in {folder} (set MDM_HARNESS_DATA)")
    root, catalogue = tmp_path_factory.mktemp("sweep") / "run", Catalogue()
    write_cells(root, read_files("d1", folder, catalogue, None, None))
    store = RunStore(root)
    score_run(store, catalogue, [cell.spec.task for cell in store.cells()], None)
    return cell_frame(store), {name: catalogue.task_file(name) for name in ("gsm8k", "sudoku_d1")}


def test_pairing_is_worth_a_third_of_the_documents_and_the_words_say_what_happens(table):
    """The paired and unpaired errors of the published answers are 1.45 and 1.84 points."""
    found, problems = compare_panels(*table, f"{CURVE}@steps=64, max_tokens=128", f"{CURVE}@steps=256, max_tokens=512")
    assert not problems
    (gsm8k,), (sudoku,) = (panel.comparison.at_settings for panel in found)
    assert (gsm8k.test, len(found[0].paired.documents)) == ("McNemar", 1130)
    assert gsm8k.difference.value == pytest.approx(0.0885, abs=0.0001)
    assert gsm8k.difference.stderr == pytest.approx(0.0145, abs=0.0003)
    assert gsm8k.unpaired == pytest.approx(0.0184, abs=0.0003)
    assert gsm8k.p < 1e-6
    assert (sudoku.a.value, sudoku.b.value) == (pytest.approx(0.1172, abs=1e-4), pytest.approx(0.0547, abs=1e-4))
    assert sudoku.difference.high < 0
    assert sudoku.p < 0.001
    words = [comparison_text(panel) for panel in found]
    assert "B is better: +8.8 points [+5." in words[0]
    assert "B is worse: -6.2 points [-8." in words[1]


def test_lengths_that_move_with_the_budget_are_one_curve_and_the_report_says_which_way_it_goes(table):
    rising, falling = rank_all(*table)
    for ranking in (rising, falling):
        (only,) = ranking.standings
        assert (only.label, ranking.span, ranking.pairs) == (CURVE, (64, 256), ())
    assert rising.standings[0].gain.value == pytest.approx(0.0885, abs=0.0001)
    assert rising.standings[0].gain.stderr == pytest.approx(0.0145, abs=0.0003)
    text = ranking_text([rising, falling])
    assert "the most expensive setting: significantly better, +8.8 points [+5." in flat(text)
    assert "the most expensive setting: significantly worse, -6.2 points [-8." in flat(text)


def flat(text):
    return " ".join(text.split())
