"""Every registered sampler keeps the contract, and at its slowest unmasks as little at once as its paper says."""

import pytest

from harness.conformance import CHECKS, judge
from harness.conformance.probe import LENGTH, Probe, Setting, record
from harness.samplers import samplers

ALL = [entry.name for entry in samplers if entry.info.writes]

ONE_A_STEP = {
    "sequential": Setting({}, None),
    "first_hitting": Setting({}, None),
    "random": Setting({}, LENGTH),
    "confidence": Setting({}, LENGTH),
    "margin": Setting({}, LENGTH),
    "entropy": Setting({}, LENGTH),
    "llada": Setting({}, LENGTH),
    "pc": Setting({}, LENGTH),
    "maskgit": Setting({}, LENGTH * LENGTH),
    "maskgit_arccos": Setting({}, LENGTH * LENGTH),
    "dream": Setting({}, LENGTH),
    "halton": Setting({}, LENGTH * LENGTH),
    "threshold": Setting({"tau": 1.0}, None),
    "credit": Setting({"tau": 1.0}, None),
    "klass": Setting({"tau": 1.0}, None),
    "localleap": Setting({"tau": 1.0, "relaxed": 1.0}, None),
    "eb": Setting({"gamma": 0.0}, None),
    "factor": Setting({"f": 0.0}, None),
    "punt": Setting({"epsilon": 0.0}, None),
    "punt_batched": Setting({"epsilon": 0.0}, None),
}
"""The setting at which each step of a sampler unmasks a single position of a model that is never certain."""


@pytest.fixture(scope="module")
def probes():
    """`probes(name)`: one probe for all checks of a sampler, so that its record is made once."""
    made = {}
    return lambda name: made.setdefault(name, Probe(name))


@pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.__name__)
@pytest.mark.parametrize("name", ALL)
def test_contract(probes, name, check):
    verdict = judge(check, probes(name))
    assert verdict.outcome != "fail", f"{verdict.claim}: {verdict.reason}"


@pytest.mark.parametrize("temperature", [0.0, 1.0])
@pytest.mark.parametrize("name", [name for name in ALL if name in ONE_A_STEP])
def test_at_its_slowest_one_position_a_step(name, temperature):
    probe = Probe(name)
    made = record(probe, probe.model(), ONE_A_STEP[name], temperature)
    assert made.error is None
    assert all(int(step.edit.commit.sum()) <= 1 for step in made.steps)
    assert sum(int(step.edit.commit.sum()) for step in made.steps) == LENGTH
