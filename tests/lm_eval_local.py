"""Local tasks of lm-eval's kind (nothing is downloaded), a model that replays texts, and lm-eval's own evaluator."""

import json

import datasets
import huggingface_hub
import pytest
import yaml
from lm_eval import simple_evaluate
from lm_eval.api.model import LM
from lm_eval.tasks import TaskManager

from harness.analysis.scoring import summarise
from harness.catalogue import Catalogue
from harness.spec import TaskSpec
from harness.task import Output, Sample

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

CHOICES = [
    {"question": "the cat", "choices": ["runs", "sings in the rain"], "label": 1},
    {"question": "the owl", "choices": ["flies", "swims", "sleeps well"], "label": 0},
    {"question": "the frog", "choices": ["no", "yes"], "label": 0},
]
CHOICE = {
    "task": "endings",
    "dataset_path": "json",
    "output_type": "multiple_choice",
    "test_split": "test",
    "doc_to_text": "{{question}}",
    "doc_to_target": "label",
    "doc_to_choice": "choices",
    "metric_list": [
        {"metric": name, "aggregation": "mean", "higher_is_better": True} for name in ("acc", "acc_norm", "exact_match")
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


class Replay(LM):
    """Answers with given texts, and keeps what it was asked."""

    def __init__(self, texts):
        super().__init__()
        self.texts, self.asked = texts, []

    def generate_until(self, requests):
        self.asked = [request.args for request in requests]
        cut = []
        for text, (_, settings) in zip(self.texts, self.asked, strict=True):
            for end in settings["until"]:
                text = text.split(end)[0]
            cut.append(text)
        return cut

    def apply_chat_template(self, chat_history, add_generation_prompt=True):
        return json.dumps([[turn["role"], turn["content"]] for turn in chat_history])

    @property
    def tokenizer_name(self):
        return "replay"

    def loglikelihood(self, requests):
        raise AssertionError

    loglikelihood_rolling = loglikelihood


def ours(folder, name="numbers", **settings):
    return Catalogue([folder]).task(TaskSpec(name=f"lm_eval:{name}", args=settings), None, None)


def theirs(folder, model, name="numbers", **options):
    return theirs_in_full(folder, model, name, **options)["results"][name]


def theirs_in_full(folder, model, name="numbers", **options):
    manager = TaskManager(include_path=str(folder), include_defaults=False)
    return simple_evaluate(model, tasks=[name], task_manager=manager, bootstrap_iters=0, **options)


def lm_eval_keys(results):
    """lm-eval's numbers under our keys."""
    values = {key: value for key, value in results.items() if "," in key and "_stderr" not in key}
    return {key.removesuffix(",none").replace(",", "@"): value for key, value in values.items()}


def scored(task, texts, samples=1):
    """The metrics of the task's documents, with `samples` texts each."""
    documents = [document for document in task.documents() for _ in range(samples)]
    all_samples = [
        Sample(document, number % samples, Output(text=text))
        for number, (document, text) in enumerate(zip(documents, texts, strict=True))
    ]
    found = summarise(task, all_samples, [task.score(sample, {}) for sample in all_samples], {})
    return {key: metric.value for key, metric in found.items()}
