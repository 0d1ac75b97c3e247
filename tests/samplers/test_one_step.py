"""One step of a sampler on distributions made by hand."""

from dataclasses import replace

import pytest
import torch
from toys import HandMade, dirichlet

from harness.canvas import StepView
from harness.components import make_sampler
from harness.spec import SamplerSpec


def make(name, **args):
    return make_sampler(SamplerSpec(name=name, args=args))


def rows(*probabilities):
    """One row of binary positions whose first token has these probabilities."""
    first = torch.tensor(probabilities, dtype=torch.float64)
    return torch.stack([first, 1 - first], dim=-1)[None]


@pytest.mark.parametrize(
    ("gamma", "expected"),
    [
        (0.0, [0, 2, 4]),  # two certain positions, and with them the lowest entropy: H - max H is still 0
        (0.1, [0, 2, 4]),
        (0.4, [0, 1, 2, 4]),
        (0.85, [0, 1, 2, 3, 4]),
    ],
)
def test_entropy_bound_counts_all_but_the_largest_entropy(gamma, expected):
    # Entropies 0, 0.50, 0, 0.69, 0.33 nats.
    scene = HandMade(rows(1.0, 0.8, 0.0, 0.5, 0.9))
    got = scene.commits(make("eb", gamma=gamma))[0]
    assert got == expected


def test_entropy_bound_of_zero_takes_one_position_where_none_is_certain():
    scene = HandMade(rows(0.6, 0.9, 0.9, 0.5))
    assert scene.commits(make("eb", gamma=0.0)) == [[1]]
    # An entropy too small to change the sum is still not zero.
    tiny = HandMade(rows(1 - 1e-15, 0.5, 0.5))
    assert tiny.commits(make("eb", gamma=0.0)) == [[0]] == tiny.commits(make("eb", gamma=1e-16))


def test_threshold_takes_all_that_reach_it_and_always_the_best():
    scene = HandMade(rows(0.75, 0.8, 0.55, 0.75, 0.1))
    assert scene.commits(make("threshold", tau=0.75)) == [[0, 1, 3, 4]]
    assert scene.commits(make("threshold", tau=0.95)) == [[4]]
    assert scene.commits(make("threshold", tau=0.0)) == [[0, 1, 2, 3, 4]]
    assert HandMade(rows(0.6, 0.6, 0.6)).commits(make("threshold", tau=0.9)) == [[0]]


def test_ties_go_to_the_lower_position():
    scene = HandMade(rows(0.7, 0.9, 0.1, 0.9, 0.7), budget=2)
    for name in ("confidence", "margin", "entropy"):
        assert scene.commits(make(name)) == [[1, 2, 3]]
        assert HandMade(rows(*[0.5] * 300), budget=3).commits(make(name)) == [list(range(100))]


@pytest.mark.parametrize(("low", "high"), [(0.0, 1.0), (1.0, 1.0)])
def test_scores_of_certainty_and_impossibility_are_ordered(low, high):
    scene = HandMade(rows(low, 0.5, high, 0.7), budget=4)
    assert scene.commits(make("confidence")) == [[0]]
    assert scene.commits(make("sequential")) == [[0]]


def redrawn(view):
    """The same view with other uniforms for the tokens."""

    def random(purpose):
        uniforms = view.random(purpose)
        return 1 - uniforms if purpose == "tokens" else uniforms

    return StepView(view.canvas, view.state, random)


ORDERS = [
    *[(name, {}) for name in ("random", "confidence", "margin", "entropy", "threshold", "eb")],
    *[("sequential", {"order": order}) for order in ("confidence", "left_to_right", "random")],
]


@pytest.mark.parametrize(("name", "args"), ORDERS)
def test_the_order_does_not_depend_on_the_drawn_tokens(name, args):
    scene, sampler = HandMade(dirichlet(20, 12, 4), budget=3), make(name, **args)
    edit = sampler.step(scene.view(), scene.ask)
    other = sampler.step(redrawn(scene.view()), scene.ask)
    assert torch.equal(edit.commit, other.commit)
    assert not torch.equal(edit.tokens, other.tokens)


def test_maskgit_ranks_the_drawn_token_as_its_paper_has_it():
    scene, sampler = HandMade(dirichlet(20, 12, 4), budget=3), make("maskgit")
    commits = [sampler.step(view, scene.ask).commit for view in (scene.view(), redrawn(scene.view()))]
    assert not torch.equal(*commits)


def test_random_positions_are_uniform():
    scene = HandMade(dirichlet(6000, 5, 2), budget=5)
    places = torch.tensor(scene.commits(make("random"))).flatten()
    counts = torch.bincount(places, minlength=5).double()
    assert float(((counts - 1200) ** 2 / 1200).sum()) < 18.5  # chi-square with 4 degrees: p > 0.001


class Influence(HandMade):
    """Position 0 settles position 1 when it is shown; all else is independent."""

    def ask(self, query=None):
        prediction = super().ask(query)
        query = self.queries[-1]
        shown = (query.tokens != self.canvas.mask_id)[:, 0]
        moved = prediction.need.nonzero()
        hit = (moved[:, 1] == 1) & shown[moved[:, 0]]
        logits = prediction.logits.clone()
        logits[hit] = torch.tensor([0.0, -20.0, float("-inf")], dtype=logits.dtype)
        return replace(prediction, logits=logits)


def test_punt_prunes_what_a_more_confident_position_moves():
    scene = Influence(rows(0.9, 0.5, 0.8, 0.7))
    assert scene.commits(make("punt", epsilon=0.1)) == [[0, 2, 3]]
    assert HandMade(rows(0.9, 0.5, 0.8, 0.7)).commits(make("punt", epsilon=0.1)) == [[0, 1, 2, 3]]


def test_punt_shows_and_tests_by_bits_most_significant_first():
    scene = HandMade(rows(0.6, 0.9, 0.7, 0.95, 0.8))  # ranks 4, 1, 3, 0, 2
    scene.commits(make("punt", epsilon=1e9))
    base, *probes = scene.queries
    assert base.need.all()
    tests = [probe.need[0].nonzero().flatten().tolist() for probe in probes]
    shown = [(probe.tokens != 2)[0].nonzero().flatten().tolist() for probe in probes]
    assert tests == [[0], [2, 4], [1, 2]]  # ranks 100; 010, 011; 001, 011
    assert shown == [[1, 2, 3, 4], [0, 1, 3], [0, 3, 4]]


def test_punt_skips_empty_rounds_and_never_prunes_the_best():
    class Everything(HandMade):
        """Whatever is shown moves everything."""

        def ask(self, query=None):
            prediction = super().ask(query)
            if len(self.queries) > 1:
                flat = torch.tensor([0.0, -5.0, float("-inf")], dtype=torch.float64)
                prediction = replace(prediction, logits=flat.expand_as(prediction.logits))
            return prediction

    scene = Everything(rows(0.6, 0.62, 0.64, 0.66, 0.68, 0.7, 0.72, 0.74))
    assert scene.commits(make("punt", epsilon=0.01)) == [[7]]
    # All but the first half fall in the first round, half of the rest in the second, and so on: no round is empty.
    assert [int(query.need.sum()) for query in scene.queries] == [8, 4, 2, 1]

    # Rank 0 alone is left after the first round of two candidates; nothing is asked for rows without tests.
    pair = Everything(rows(0.6, 0.9))
    assert pair.commits(make("punt", epsilon=0.01)) == [[1]]
    assert len(pair.queries) == 2
    single = HandMade(rows(0.6))
    assert single.commits(make("punt")) == [[0]]
    assert len(single.queries) == 1


def test_freecorrection_masks_the_lowest_average_of_all_steps_since_unmasking():
    # Six visible tokens (id 0) of four steps' history, two masked; the current probability of each is 0.5.
    tokens = torch.tensor([[0, 0, 0, 0, 0, 0, 2, 2]])
    total = torch.tensor([[3.6, 0.3, 2.4, 0.1, 3.0, 3.2, 0.0, 0.0]], dtype=torch.float64)
    count = torch.tensor([[4.0, 1.0, 4.0, 0.0, 4.0, 4.0, 0.0, 0.0]], dtype=torch.float64)
    scene = HandMade(rows(*[0.5] * 8), tokens, step=6, budget=10, state={"sum": total, "count": count})
    edit = make("freecorrection", cap=2.0, unit="tokens").step(scene.view(), scene.ask)
    # Averages with this step's 0.5: 0.82, 0.4, 0.58, 0.6/1 = 0.6, 0.7, 0.74; one (half the cap) is masked again.
    assert edit.remask.nonzero().tolist() == [[0, 1]]
    assert edit.state["count"].tolist() == [[5, 0, 5, 1, 5, 5, 0, 0]]
    assert edit.state["sum"][0, 1] == 0
    assert edit.state["sum"][0, 0] == pytest.approx(4.1)
