"""A small task of lm-eval's kind in local files: nothing is downloaded."""

import json

import datasets
import huggingface_hub
import pytest
import yaml

SUMS = [
    {"question": "write the number two", "answer": "2"},
    {"question": "write the number three", "answer": "3"},
    {"question": "write the number four", "answer": "4"},
    {"question": "write the number six", "answer": "6"},
]
SHOTS = [{"question": f"write the number {word}", "answer": str(n)} for n, word in enumerate(("one", "five"), start=1)]
CONFIG = {
    "task": "numbers",
    "dataset_path": "json",
    "output_type": "generate_until",
    "training_split": "train",
    "fewshot_split": "train",
    "test_split": "test",
    "description": "Answer with a number.\n",
    "doc_to_text": "{{question}} :",
    "doc_to_target": "{{answer}}",
    "num_fewshot": 1,
    "generation_kwargs": {"until": ["\n", "stop"], "max_gen_toks": 12, "do_sample": False},
    "metric_list": [
        {"metric": "exact_match", "aggregation": "mean", "higher_is_better": True},
        {"metric": "chrf", "aggregation": "chrf", "higher_is_better": True},
    ],
    "filter_list": [
        {"name": "first", "filter": [{"function": "regex", "regex_pattern": "(\\d)"}, {"function": "take_first"}]},
        {
            "name": "last",
            "filter": [
                {"function": "regex", "regex_pattern": "(\\d)", "group_select": -1},
                {"function": "take_first"},
            ],
        },
    ],
}


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

    def make(rows=SUMS, **changes):
        folder.mkdir(exist_ok=True)
        files = {"train": SHOTS, "test": rows}
        for split, content in files.items():
            (folder / f"{split}.jsonl").write_text("".join(json.dumps(row) + "\n" for row in content))
        paths = {split: str(folder / f"{split}.jsonl") for split in files}
        config = {**CONFIG, "dataset_kwargs": {"data_files": paths}, **changes}
        (folder / f"{config['task']}.yaml").write_text(
            yaml.safe_dump({k: v for k, v in config.items() if v is not None})
        )
        return folder

    return make
