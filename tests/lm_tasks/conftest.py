"""A small task of lm-eval's kind in local files: nothing is downloaded."""

import json

import datasets
import huggingface_hub
import pytest
import yaml
from lm_eval_local import CONFIG, SHOTS, SUMS


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    """Whatever is loaded is cached here, and nothing is taken from a data folder or the network."""
    monkeypatch.setattr(datasets.config, "HF_DATASETS_CACHE", tmp_path / "cache")
    monkeypatch.setattr(datasets.config, "HF_HUB_OFFLINE", True)
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_OFFLINE", True)
    monkeypatch.delenv("MDM_HARNESS_DATA", raising=False)


@pytest.fixture
def write(tmp_path):
    """`write(**changes)` puts the task, with these keys changed, into a folder to be included, which it returns."""
    folder = tmp_path / "theirs"

    def make(rows=SUMS, shots=SHOTS, base=CONFIG, **changes):
        folder.mkdir(exist_ok=True)
        files = {split: content for split, content in {"train": shots, "test": rows}.items() if content}
        for split, content in files.items():
            (folder / f"{split}.jsonl").write_text("".join(json.dumps(row) + "\n" for row in content))
        paths = {split: str(folder / f"{split}.jsonl") for split in files}
        config = {**base, "dataset_kwargs": {"data_files": paths}, **changes}
        (folder / f"{config['task']}.yaml").write_text(
            yaml.safe_dump({k: v for k, v in config.items() if v is not None})
        )
        return folder

    return make
