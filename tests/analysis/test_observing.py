"""What scorer networks see is stored a few samples at a time: nothing is seen twice."""

import numpy as np
import pytest

from harness.analysis.scoring import score_cell, scorer_id
from harness.spec import CellSpec, Decoding, MetricSpec, ModelSpec, SamplerSpec, TaskFile, TaskSpec
from harness.store import GenerationRecord, RunStore, SampleKey
from harness.task import Document, Output, SetMetric, Task

FILE = TaskFile(
    name="seen",
    summary="",
    code="task.py:Seen",
    metrics=[MetricSpec(key="mean", label="Mean", direction="higher", level="set")],
    primary="mean",
    protocols=["one", "two"],
)


class Seen(Task):
    """Sees the one token of an output; breaks down at a batch that has the token `bad`."""

    observed_at_once = 4
    observed_by = ("protocol",)
    bad, state, reachable = -1, "", True

    def __init__(self, protocol="one"):
        super().__init__(FILE, {}, protocol, None, None)
        self.batches = []

    def documents(self):
        return [Document(f"{place:02d}") for place in range(30)]

    def check_observers(self):
        if not self.reachable:
            raise OSError("the network is gone")

    def scoring_state(self):
        return self.state

    def observe(self, samples):
        tokens = [sample.output.tokens[0] for sample in samples]
        if self.bad in tokens:
            raise KeyboardInterrupt
        self.batches.append(tokens)
        return {"token": np.array(tokens, dtype=np.float32)}

    def aggregate(self, samples, observations):
        return {"mean": SetMetric(float(observations["token"].mean()), parts=observations["token"].tolist())}


@pytest.fixture
def cell(tmp_path):
    spec = CellSpec(
        model=ModelSpec(name="toy"), task=TaskSpec(name="seen"), data="d", sampler=SamplerSpec(name="random"),
        decoding=Decoding(), budget=8, semantics={"engine": 1}, seed=0,
    )  # fmt: skip
    return RunStore.create(tmp_path / "run", {}).cell(spec)


def add(cell, *tokens):
    with cell.lock():
        cell.append([GenerationRecord(SampleKey(f"{token:02d}", 0), Output((token,))) for token in tokens])


def test_an_interruption_costs_one_batch(cell):
    add(cell, *range(10))
    task = Seen()
    task.bad = 9
    with pytest.raises(KeyboardInterrupt):
        score_cell(cell, task)
    assert task.batches == [[0, 1, 2, 3], [4, 5, 6, 7]]
    again = Seen()
    assert score_cell(cell, again)
    assert again.batches == [[8, 9]]
    assert cell.read_summary(scorer_id(again)).metrics["mean"].value == 4.5


def test_more_samples_are_added_in_their_order(cell):
    add(cell, 5, 20)
    score_cell(cell, Seen())
    add(cell, 1, 7)
    task = Seen()
    assert score_cell(cell, task)
    assert task.batches == [[1, 7]]
    assert list(cell.read_parts(scorer_id(task), "mean").values()) == [1, 5, 7, 20]


def test_another_protocol_sees_for_itself_and_another_state_only_scores_again(cell):
    add(cell, 1, 2)
    assert score_cell(cell, Seen())
    assert not score_cell(cell, Seen())
    other = Seen("two")
    assert score_cell(cell, other)
    assert other.batches == [[1, 2]]
    changed = Seen()
    changed.state, changed.reachable = "another reference", False
    assert score_cell(cell, changed)  # and no network is needed for that
    assert changed.batches == []
