"""Results of GenEval's official script become a cell; pictures go out to it, and come back."""

import json
import logging
import os
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from harness.analysis.exporting import export_run
from harness.analysis.importing import read_files, write_cells
from harness.analysis.scoring import score_run
from harness.catalogue import Catalogue
from harness.errors import UserError
from harness.metrics.geneval import TAGS
from harness.spec import TaskSpec
from harness.store import RunStore, SampleKey

ROW = {"tag": "single_object", "include": [{"class": "dog", "count": 1}], "prompt": "a photo of a dog"}
CATALOGUE = Catalogue()


def line(filename="out/00012/samples/0003.png", asked=ROW, **changes):
    """A line as the official script writes it."""
    return {
        "filename": filename,
        "tag": asked["tag"],
        "prompt": asked["prompt"],
        "correct": True,
        "reason": "",
        "metadata": json.dumps(asked),
        "details": json.dumps({"dog": [[0.0, 0.0, 10.0, 10.0, 0.9]]}),
        **changes,
    }


def write(folder, *rows):
    path = folder / "results.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


def official_cases():
    beside = Path(__file__).resolve().parents[4] / "shared" / "data"
    path = Path(os.environ.get("MDM_HARNESS_DATA", beside)) / "geneval" / "rule_cases.jsonl"
    if not path.is_file():
        pytest.skip(f"GenEval's official verdicts are not at {path} (set MDM_HARNESS_DATA)")
    return [json.loads(each) for each in path.read_text(encoding="utf-8").splitlines()]


def test_official_verdicts_come_through_with_their_mean_over_tags(tmp_path, caplog):
    taken = Counter()
    rows = []
    for case in official_cases():
        prompt = case["prompt_index"]
        rows.append(line(f"out/{prompt:05d}/samples/{taken[prompt]:04d}.png", case["metadata"], correct=case["correct"],
                         reason=case["reason"], details=json.dumps(case["kept"])))  # fmt: skip
        taken[prompt] += 1
    with caplog.at_level(logging.WARNING):
        files = read_files("geneval", write(tmp_path, *rows), CATALOGUE, model="official")
    assert not caplog.text  # the rules agree wherever no colour is asked for
    (cell,) = write_cells(tmp_path / "run", files)
    run = RunStore(tmp_path / "run")
    assert score_run(run, CATALOGUE, [TaskSpec(name="geneval", protocol="mmdet")], None) == 1
    (summary,) = cell.summaries()
    by_tag = {tag: np.mean([row["correct"] for row in rows if row["tag"] == tag]) for tag in TAGS}
    assert summary.protocol == "mmdet"
    assert summary.samples == len(rows)
    for tag, share in by_tag.items():
        assert summary.metrics[tag].value == pytest.approx(share)
    assert summary.metrics["geneval"].value == pytest.approx(np.mean(list(by_tag.values())))
    assert files[0].origin["reported"]["geneval.geneval"] == summary.metrics["geneval"].value


def test_pictures_come_along_where_they_are(tmp_path):
    folder = tmp_path / "out" / "00012" / "samples"
    folder.mkdir(parents=True)
    picture = np.random.default_rng(0).integers(0, 256, (8, 9, 3), dtype=np.uint8)
    Image.fromarray(picture).save(folder / "0003.png")
    rows = line(), line("out/00012/samples/0004.png")
    (cell,) = write_cells(tmp_path / "run", read_files("geneval", write(tmp_path, *rows), CATALOGUE, model="m"))
    made = cell.generations()
    assert np.array_equal(np.array(Image.open(made[SampleKey("00012", 3)].image)), picture)
    assert made[SampleKey("00012", 4)].image is None
    exported = export_run("geneval", *_only_the_first(tmp_path, rows, picture), None, tmp_path / "theirs")
    (place,) = exported.values()
    assert json.loads((place / "00012" / "metadata.jsonl").read_text()) == ROW
    assert np.array_equal(np.array(Image.open(place / "00012" / "samples" / "0003.png")), picture)


def _only_the_first(tmp_path, rows, picture):
    write_cells(tmp_path / "one", read_files("geneval", write(tmp_path, rows[0]), CATALOGUE, model="m"))
    return RunStore(tmp_path / "one"), CATALOGUE


def test_what_has_no_picture_is_not_exported(tmp_path):
    write_cells(tmp_path / "run", read_files("geneval", write(tmp_path, line()), CATALOGUE, model="m"))
    with pytest.raises(UserError, match="sample 3 has no picture to export"):
        export_run("geneval", RunStore(tmp_path / "run"), CATALOGUE, None, tmp_path / "theirs")


def test_verdicts_that_the_rules_do_not_give_are_counted(tmp_path, caplog):
    rows = line(correct=False), line("out/00012/samples/0004.png")
    with caplog.at_level(logging.WARNING):
        read_files("geneval", write(tmp_path, *rows), CATALOGUE, model="m")
    assert "1 of 2 verdicts are not what GenEval's rules make of the boxes" in caplog.text
    assert "0003.png" in caplog.text


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"filename": "picture.png"}, "'filename' must end like 00012/samples/0003.png"),
        ({"correct": "yes"}, "'correct' must be true or false"),
        ({"metadata": "{"}, "'metadata': not valid JSON"),
        ({"metadata": "[]"}, "'metadata': a JSON object is needed"),
        ({"metadata": json.dumps({**ROW, "tag": "colour"})}, "`tag` must be one of"),
        ({"details": json.dumps({"dog": [[1, 2]]})}, "'details' must be boxes"),
        ({"details": json.dumps({"dog": 3})}, "'details' must be boxes"),
    ],
)
def test_bad_lines_are_named(tmp_path, changes, message):
    with pytest.raises(UserError, match=rf"results.jsonl, line 1: {message}"):
        read_files("geneval", write(tmp_path, line(**changes)), CATALOGUE, model="m")


def test_the_model_must_be_named(tmp_path):
    with pytest.raises(UserError, match="name no model; give its name as --model"):
        read_files("geneval", write(tmp_path, line()), CATALOGUE)
