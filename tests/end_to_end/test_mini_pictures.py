"""Pictures of the built-in model before tiny random networks, by prompts of its own world."""

import json

import pandas as pd
from image_checkpoints import write_clip, write_inception

from harness.miniworld.captions import test_prompts as held_out_prompts


def test_clip_score_and_fid_of_mini(tmp_path, monkeypatch, caplog, mdm):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    prompts = tmp_path / "prompts.jsonl"
    rows = [{"id": f"p{place}", "prompt": row["prompt"]} for place, row in enumerate(held_out_prompts(1))]
    prompts.write_text("".join(json.dumps(row) + "\n" for row in rows))
    clip, weights = write_clip(tmp_path / "clip"), write_inception(tmp_path / "inception")
    scored = f"clip_score:prompts={prompts}:clip={clip}"
    done = mdm(f"run --model mini --tasks {scored} --samplers maskgit --budgets 2 --limit 5 --output {tmp_path}/one")
    assert done.code == 0, done.err
    board = pd.read_csv(tmp_path / "one" / "leaderboard.csv")
    assert board["metric_clip_score"].between(-100, 100).all()
    (images,) = (tmp_path / "one" / "cells").glob("*/images")
    compared = f"fid:prompts={prompts}:reference={images}:inception={weights}:protocol=legacy_tensorflow"
    done = mdm(f"run --model mini --tasks {compared} --samplers random --budgets 2 --limit 5 --output {tmp_path}/two")
    assert done.code == 0, done.err
    board = pd.read_csv(tmp_path / "two" / "leaderboard.csv")
    assert (board["metric_fid"] > 0).all()
    assert "5 pictures for 2048 features" in caplog.text
    refused = mdm(
        f"run --model digits --tasks {compared} --samplers random --budgets 2 --limit 4 --output {tmp_path}/no"
    )
    assert refused.code == 2
    assert "takes no prompt" in refused.err
