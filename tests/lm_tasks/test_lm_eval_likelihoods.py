"""Tasks of lm-eval that ask which text is likelier."""

import math

import pytest
from lm_eval_local import CHOICE, CHOICES, Replay, lm_eval_keys, ours, theirs

from harness.analysis.scoring import summarise
from harness.catalogue import Catalogue
from harness.errors import UserError
from harness.executors.inline import Options, execute
from harness.executors.loader import ModelLoader, check_capabilities
from harness.executors.plan import make_plan
from harness.spec import SuiteFile
from harness.store import RunStore
from harness.task import Output, Sample

VALUES = [(-3.0, -9.0), (-1.5, -1.25, -8.0), (-2.0, -math.inf)]


class Scores(Replay):
    def loglikelihood(self, requests):
        self.asked = [request.args for request in requests]
        return [(value, False) for values in VALUES for value in values]


@pytest.fixture
def endings(write):
    return write(CHOICES, [], CHOICE)


def test_questions_and_scores_are_those_of_lm_evals_own_evaluator(endings):
    model = Scores(None)
    expected = lm_eval_keys(theirs(endings, model, name="endings"))
    task = ours(endings, "endings")
    documents = task.documents()
    parts = [part for document in documents for part in task.request(document).parts]
    assert [(part.prompt, part.continuation) for part in parts] == model.asked
    assert parts[1].continuation == " sings in the rain"
    samples = [Sample(document, 0, Output(logp=values)) for document, values in zip(documents, VALUES, strict=True)]
    found = summarise(task, samples, [task.score(sample, {}) for sample in samples], {})
    assert expected.pop("exact_match") == 0  # needs greedy decoding, and is left out
    assert {key: metric.value for key, metric in found.items()} == expected
    assert expected["acc_norm"] != expected["acc"]


def test_perplexity_is_lm_evals(write):
    folder = write(CHOICES, [], {**CHOICE, "output_type": "loglikelihood", "doc_to_choice": None,
                                 "doc_to_target": " {{choices[0]}}", "metric_list": None})  # fmt: skip
    task = ours(folder, "endings")
    samples = [Sample(document, 0, Output(logp=(-float(n),))) for n, document in enumerate(task.documents(), start=1)]
    found = summarise(task, samples, [task.score(sample, {}) for sample in samples], {})
    assert {key: metric.value for key, metric in found.items()} == {"perplexity": pytest.approx(math.exp(2))}


def plan(folder, tmp_path, sampler, task):
    sweep = {"models": "mini", "tasks": task, "samplers": sampler, "budgets": [2]}
    return make_plan(SuiteFile.model_validate({"name": "t", "sweeps": [sweep]}), Catalogue([folder]), None, "t")


def test_a_model_answers_and_the_likelihoods_are_stored(endings, tmp_path):
    made = plan(endings, tmp_path, "likelihood:draws=2|4", "lm_eval:endings")
    load = ModelLoader("cpu")
    check_capabilities(made, load)
    run = RunStore.create(tmp_path / "run", {})
    with pytest.raises(UserError, match="knows 171 words and signs, and 'rain' is none of them"):
        execute(made, run, load, Options())


def test_the_words_of_mini_are_scored(write, tmp_path):
    # As long as what the model has learnt to write.
    sense = " ".join(4 * ["the cat runs . the owl sings . the fox rests . the duck dives ."])
    nonsense = " ".join(reversed(sense.split()))
    rows = [{"question": "write a story .", "choices": [sense, nonsense], "label": 0}]
    folder = write(rows, [], CHOICE)
    made = plan(folder, tmp_path, "likelihood:draws=8", "lm_eval:endings")
    run = RunStore.create(tmp_path / "run", {})
    execute(made, run, ModelLoader("cpu"), Options())
    (cell,) = run.cells()
    ((_, output),) = cell.generations().items()
    of_sense, of_nonsense = output.logp
    assert of_sense > of_nonsense + 10
    (cost,) = cell.costs().values()
    assert (cost["nfe"], cost["depth"], cost["output_tokens"]) == (16, 8, 0)


@pytest.mark.parametrize(
    ("sampler", "task", "message"),
    [
        ("confidence", "lm_eval:endings", "its sampler is 'likelihood', not 'confidence'"),
        ("likelihood", "ifeval_mini", "wants something made, and sampler 'likelihood' scores texts"),
    ],
)
def test_writing_and_scoring_are_not_mixed_up(endings, tmp_path, sampler, task, message):
    with pytest.raises(UserError, match=message):
        plan(endings, tmp_path, sampler, task)
