"""Tasks that ship with lm-eval, on rows of our own in the form of their datasets: what is asked, and what the same
outputs score, is what lm-eval's own evaluator says."""

import json

import datasets
import evaluate
import pytest
from lm_eval import simple_evaluate
from lm_eval.tasks import TaskManager
from lm_eval_local import Replay, lm_eval_keys, scored

from harness.catalogue import Catalogue
from harness.errors import UserError
from harness.lm_tasks.find import find
from harness.spec import TaskSpec

SUMS = [{"question": f"Tom has {n} eggs and buys 2. How many?", "answer": f"#### {n + 2}"} for n in (1, 2, 3)]
LOGIC = [{"input": f"not ( True ) and ( {value} ) is", "target": "False"} for value in ("True", "False", "not True")]
MATHS = [{"problem": f"What is {n} + 1?", "solution": f"$\\boxed{{{n + 1}}}$", "answer": str(n + 1)} for n in (0, 1, 2)]
FRACTION = "Final Answer: The final answer is $\\frac{6}{2}$. I hope it is correct.\nProblem: another"
FACTS = [{"text": f"Device {n}. Dose:", "value": f"{n} MG"} for n in (2, 4, 6)]
HUMANEVAL = (
    [
        {
            "prompt": f"def add(a, b):\n    # the sum and {n}\n",
            "test": f"def check(candidate):\n    assert candidate(1, 2) == {3 + n}\n",
            "entry_point": "add",
        }
        for n in (0, 1, 2)
    ],
    ["    return a + b\n```\nDone.", "    return a + b\n```", "    return a + b + 2"],
    [2 / 3],
)
MBPP = (
    [
        {"text": f"Add {n}.", "code": "", "test_list": [f"assert f({k}) == {k + n}" for k in range(3)]}
        for n in (0, 1, 2)
    ],
    ["\ndef f(x): return x\n```", "\ndef f(x): return x\n```", "no code"],
    [1 / 3],
)
CODE_EVAL = """
import datasets, evaluate

def passes(program):
    try:
        exec(program, {})
    except BaseException:
        return False
    return True

class CodeEval(evaluate.Metric):
    "Of the form of the metric code_eval of the hub, which lm-eval's tasks load by that name."

    def _info(self):
        text = datasets.Value("string")
        features = datasets.Features({"predictions": datasets.Sequence(text), "references": text})
        return evaluate.MetricInfo(description="", citation="", inputs_description="", features=features)

    def _compute(self, predictions, references, k):
        one = [sum(passes(p + "\\n" + test) for p in each) / len(each) for each, test in zip(predictions, references)]
        return {"pass@1": sum(one) / len(one)}, {}
"""


CASES = [
    ("gsm8k", "openai/gsm8k:main", SUMS, ["3\n#### 3 Question: x", "#### 5\n so 9", "the answer: 5"], [1 / 3, 2 / 3]),
    ("gsm8k_cot", "openai/gsm8k:main", SUMS, ["The answer is 3.", "The answer is 44. or 4", "Q: 5"], [1 / 3, 2 / 3]),
    (
        "bbh_cot_fewshot_boolean_expressions",
        "SaylorTwift/bbh:boolean_expressions",
        LOGIC,
        ["so the answer is False.", "the answer is True.", "the answer is False."],
        [2 / 3],
    ),
    (
        "minerva_math500",
        "HuggingFaceH4/MATH-500:default",
        MATHS,
        ["The final answer is $1$. I hope it is correct.", "It is $\\boxed{2}$.", FRACTION],
        [1 / 3, 1],
    ),
    # A Python class, with requests and metrics of its own.
    ("fda", "hazyresearch/based-fda:default", FACTS, ["it is 2 mg", "3\n4 mg", "none"], [1 / 3]),
    pytest.param("humaneval_instruct", "openai/openai_humaneval:openai_humaneval", *HUMANEVAL, marks=pytest.mark.slow),
    pytest.param("mbpp_instruct", "google-research-datasets/mbpp:full", *MBPP, marks=pytest.mark.slow),
]


@pytest.fixture
def hub(tmp_path, monkeypatch):
    """`hub(owner/name:configuration, rows)` puts a dataset into the data folder that it returns, and there lm-eval's
    own evaluator finds it as well; so it does the metric `code_eval`."""
    folder, modules, real = tmp_path / "data", tmp_path / "modules", datasets.load_dataset
    monkeypatch.setattr(
        datasets, "load_dataset", lambda path, name=None, **rest: real(str(folder / path), name, **rest)
    )
    monkeypatch.setattr(evaluate.config, "HF_MODULES_CACHE", modules)
    monkeypatch.setattr(evaluate.config, "HF_EVALUATE_OFFLINE", True)
    for name, value in {
        "HF_MODULES_CACHE": str(modules),
        "HF_EVALUATE_OFFLINE": "1",
        "HF_ALLOW_CODE_EVAL": "1",
    }.items():
        monkeypatch.setenv(name, value)  # for the process that runs the code
    metric = modules / "evaluate_modules" / "metrics" / "evaluate-metric--code_eval" / ("0" * 64)
    metric.mkdir(parents=True)
    (metric / "code_eval.py").write_text(CODE_EVAL)

    def put(dataset, rows):
        name, _, configuration = dataset.partition(":")
        copy = folder / name
        copy.mkdir(parents=True)
        splits = {"train": 2, "validation": 1, "test": 1}
        for split, times in splits.items():
            (copy / f"{split}.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows * times))
        files = "".join(f"  - {{split: {split}, path: {split}.jsonl}}\n" for split in splits)
        (copy / "README.md").write_text(f"---\nconfigs:\n- config_name: {configuration}\n  data_files:\n{files}---\n")
        return folder

    return put


@pytest.mark.parametrize(("name", "dataset", "rows", "texts", "values"), CASES)
def test_a_task_of_lm_evals_own_asks_and_scores_as_its_evaluator_does(hub, name, dataset, rows, texts, values):
    if name.startswith("minerva"):
        pytest.importorskip("math_verify")
    data = hub(dataset, rows)
    manager = TaskManager(include_path=str(find(name, []).parent), include_defaults=False)
    task = Catalogue([], True).task(TaskSpec(name=f"lm_eval:{name}"), str(data), None)
    task.check()
    requests = [task.request(document) for document in task.documents()]
    for chat in (False, True):
        model = Replay(texts)
        options = {"apply_chat_template": chat, "fewshot_as_multiturn": chat, "confirm_run_unsafe_code": True}
        results = simple_evaluate(model, tasks=[name], task_manager=manager, bootstrap_iters=0, **options)
        told = [json.dumps([list(turn) for turn in each.turns]) if chat else each.prompt for each in requests]
        assert told == [prompt for prompt, _ in model.asked]
    expected = lm_eval_keys(results["results"][name])
    assert scored(task, texts) == pytest.approx(expected, abs=1e-12)
    assert list(expected.values()) == pytest.approx(values)


def test_a_python_class_that_asks_for_likelihoods_too_is_refused_when_its_data_are_there(hub):
    rows = [{"id": "1", "title": "t", "context": "c", "question": "q", "answers": {"text": ["c"], "answer_start": [0]}}]
    task = Catalogue().task(TaskSpec(name="lm_eval:squadv2"), str(hub("lighteval/squad_v2:default", rows)), None)
    with pytest.raises(UserError, match=r"asks for loglikelihood beside texts, or in their place\. Run it from"):
        task.check()


def test_a_python_class_writes_as_much_as_it_asks_for(hub):
    data = str(hub("hazyresearch/based-fda:default", FACTS))
    task = Catalogue().task(TaskSpec(name="lm_eval:fda"), data, None)
    (request, *_) = map(task.request, task.documents())
    assert (request.length, request.until) == (48, ("\n",))
    shorter = Catalogue().task(TaskSpec(name="lm_eval:fda", args={"max_tokens": 5}), data, None)
    assert shorter.request(shorter.documents()[0]).length == 5
    assert (shorter.identity(), shorter.data_hash()) != (task.identity(), task.data_hash())
