"""Tables: the discretiser, the network's windows, likelihoods along orders, and the model behind a sampler."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
import torch
from support import run
from toys import job

from harness.components import make_sampler
from harness.errors import UserError
from harness.models.base import Inputs
from harness.models.tables.data import TABLES, load_table
from harness.models.tables.denoiser import TableDenoiser
from harness.models.tables.likelihood import fixed_order_nats, nats_along, order_bound
from harness.models.tables.network import TableConfig, TableTransformer
from harness.models.tables.race import draw_orders
from harness.samplers import samplers
from harness.spec import SamplerSpec
from harness.task import Request


@pytest.fixture
def people(tmp_path):
    rng = np.random.default_rng(0)
    frame = pd.DataFrame(
        {
            "age": rng.integers(18, 90, 100),
            "town": rng.choice(["Ulm", "Ghent", "York"], 100),
            "children": rng.integers(0, 4, 100),
            "income": np.where(rng.random(100) < 0.1, np.nan, rng.lognormal(10, 1, 100)),
        }
    )
    path = tmp_path / "people.csv"
    frame.to_csv(path, index=False)
    return str(path), frame


def test_a_csv_becomes_bins_values_and_words(people):
    path, frame = people
    table = load_table(path, 5, 0)
    assert [len(part) for part in (table.train, table.validation, table.test)] == [65, 15, 20]
    assert table.columns["town"] == ["Ghent", "Ulm", "York"]
    assert table.columns["children"] == ["0", "1", "2", "3"]
    assert [len(table.columns[name]) for name in ("age", "income")] == [5, 6]
    assert table.columns["income"][-1] == "missing"
    rows = np.concatenate([table.test, table.validation, table.train])
    order = np.random.RandomState(0).permutation(100)
    assert (rows[:, 2] == frame["children"].to_numpy()[order]).all()
    assert [table.columns["town"][token] for token in rows[:, 1]] == frame["town"].to_numpy()[order].tolist()
    assert ((rows[:, 3] == 5) == frame["income"].isna().to_numpy()[order]).all()
    # Bins are filled alike by the training rows, and a bin holds what its label says.
    assert np.bincount(table.train[:, 0]).max() <= 17
    ages = frame["age"].to_numpy()[order]
    edges = [float(label.split()[-1]) for label in table.columns["age"][1:]][:-1]
    assert (rows[:, 0] == np.searchsorted([float(table.columns["age"][0].split()[1]), *edges], ages, "right")).all()


def test_edges_do_not_look_at_held_out_rows(people, tmp_path):
    path, frame = people
    held_out = np.random.RandomState(0).permutation(100)[:35]
    frame.loc[held_out, "income"] *= 1000
    changed = tmp_path / "changed.csv"
    frame.to_csv(changed, index=False)
    one, other = load_table(path, 5, 0), load_table(str(changed), 5, 0)
    assert one.columns == other.columns
    assert (one.train == other.train).all()
    assert one.digest != other.digest
    assert load_table(path, 5, 1).digest != one.digest
    assert load_table(path, 5, 0).digest == one.digest


@pytest.mark.parametrize(("name", "columns", "rows"), [("digits", 17, 1797), ("breast_cancer", 31, 569)])
def test_tables_that_come_with_scikit_learn(name, columns, rows):
    table = load_table(name, 8, 0)
    assert len(table.columns) == columns
    assert sum(len(part) for part in (table.train, table.validation, table.test)) == rows
    assert set(TABLES) == {"digits", "breast_cancer", "diabetes", "wine"}
    label = list(table.columns)[-1]
    assert len(table.columns[label]) == (10 if name == "digits" else 2)
    sizes = [len(labels) for labels in table.columns.values()]
    assert (table.train.max(axis=0) < sizes).all()
    assert (table.test.max(axis=0) < sizes).all()


def test_digits_are_pooled():
    from sklearn.datasets import load_digits

    images, labels = load_digits(return_X_y=True)
    first = np.random.RandomState(3).permutation(len(images))[0]
    row = load_table("digits", 8, 3).test[0]
    pooled = images[first].reshape(4, 2, 4, 2).mean(axis=(1, 3))
    assert (row[:16].reshape(4, 4) == np.round(pooled / 4)).all()
    assert row[16] == labels[first]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (None, "cannot be read"),
        ("a,b\n1,2\n", "1 rows and 2 columns"),
        ("a\n" + "1\n" * 30, "30 rows and 1 columns"),
        ("a,b\n" + "".join(f"w{i},{i}\n" for i in range(90)), "column 'a' has 90 different words"),
        ('a,b\n"1,2\n', "no CSV"),
    ],
)
def test_mistakes_in_tables_are_named(tmp_path, content, message):
    path = tmp_path / "mine.csv"
    if content is not None:
        path.write_text(content)
    with pytest.raises(UserError, match=message):
        load_table(str(path), 8, 0)
    with pytest.raises(UserError, match="bins is 1"):
        load_table("wine", 1, 0)
    with pytest.raises(UserError, match="Did you mean 'wine'"):
        load_table("wines", 8, 0)


def network(method="order_space", sizes=(2, 4, 3, 5), seed=0):
    names, labels = [f"c{i}" for i in range(len(sizes))], [[str(v) for v in range(size)] for size in sizes]
    torch.manual_seed(seed)
    made = TableTransformer(TableConfig(names, labels, "x", 8, 0, "0", method, 16, 1, 2))
    torch.nn.init.normal_(made.head.weight)
    torch.nn.init.normal_(made.schedule)
    return made.eval()


def inputs(rows):
    rows = torch.tensor(rows)
    return Inputs(rows, torch.ones_like(rows, dtype=torch.bool), torch.arange(rows.shape[1]).expand_as(rows))


def test_predictions_are_those_of_the_column():
    model = TableDenoiser(network())
    logp, _ = model.logits(inputs([[5, 5, 5, 5], [1, 5, 2, 4]]), torch.arange(8))
    possible = logp.exp().view(2, 4, 6) > 0
    assert possible.sum(-1).tolist() == [[2, 4, 3, 5]] * 2
    torch.testing.assert_close(logp.exp().sum(-1), torch.ones(8))
    # It looks at what is seen, and a masked column is the same whatever its position in the row.
    assert (logp[:4] - logp[4:]).abs().nan_to_num().max() > 0.01
    padded = inputs([[5, 5, 5, 5, 5]])
    padded = replace(padded, valid=padded.positions < 4, positions=padded.positions)
    torch.testing.assert_close(model.logits(padded, torch.arange(4))[0], logp[:4])
    turned = inputs([[4, 2, 5, 1]])
    turned = replace(turned, positions=torch.tensor([[3, 2, 1, 0]]))
    torch.testing.assert_close(model.logits(turned, torch.arange(4))[0], logp[4:].flip(0), atol=1e-5, rtol=1e-4)


def test_rates_have_mean_0_and_go_with_the_rows():
    made = network()
    assert made.log_rates().mean().abs() < 1e-6
    assert TableDenoiser(made).encode(Request("d")).schedule == tuple(made.log_rates().double().tolist())
    values = network("genmd4")
    assert (values.log_rates()[values.absent] == 0).all()
    assert values.log_rates()[~values.absent].mean().abs() < 1e-6
    assert TableDenoiser(values).encode(Request("d")).schedule is None
    assert "schedule" not in TableDenoiser(values).capabilities
    assert (network("uniform").log_rates() == 0).all()


def test_nats_along_an_order_follow_the_chain_rule():
    made = network()
    rows = torch.tensor([[1, 3, 0, 4], [0, 2, 2, 1]])
    orders = torch.tensor([[2, 0, 3, 1], [1, 3, 0, 2]])
    model, expected = TableDenoiser(made), [0.0, 0.0]
    for n in range(2):
        tokens = [5, 5, 5, 5]
        for position in orders[n].tolist():
            logp, _ = model.logits(inputs([tokens]), torch.tensor([position]))
            tokens[position] = int(rows[n, position])
            expected[n] -= float(logp[0, tokens[position]])
    assert nats_along(made, rows, orders).tolist() == pytest.approx(expected, rel=1e-5)


def test_a_fixed_order_is_a_distribution_and_the_bound_is_the_mean_over_orders():
    made = network(sizes=(2, 3, 2))
    every = torch.cartesian_prod(*[torch.arange(n) for n in (2, 3, 2)])
    assert float((-fixed_order_nats(made, every)).exp().sum()) == pytest.approx(1, rel=1e-5)
    rates = made.log_rates()
    found = order_bound(made, every, rates, 2000)
    orders, counts = draw_orders(rates, 50_000, torch.Generator().manual_seed(1)).unique(dim=0, return_counts=True)
    along = torch.stack([nats_along(made, every, order.expand(len(every), -1)) for order in orders])
    shares = (counts / counts.sum())[:, None]
    expected = (along * shares).sum(0)
    spread = ((along - expected).square() * shares).sum(0).sqrt()
    assert (found - expected).abs().max() < 4 * spread.max() / 2000**0.5
    assert spread.min() > 0.05  # orders differ


@pytest.mark.parametrize("name", ["learned_order", "learned_ancestral", "confidence", "threshold", "remdm"])
def test_samplers_make_rows_of_the_table(name):
    model, info = TableDenoiser(network()), samplers[name].info
    budget = 3 if info.knob == "steps" else None
    for one in run(
        model, [job(make_sampler(SamplerSpec(name=name)), info, "d", sample=i, budget=budget) for i in range(5)]
    ):
        assert all(0 <= token < size for token, size in zip(one.output.tokens, (2, 4, 3, 5), strict=True))
        assert one.output.text == "\n".join(f"c{i}: {token}" for i, token in enumerate(one.output.tokens))
        assert one.cost.flops > 0


def test_it_takes_no_prompt_and_no_guidance():
    model = TableDenoiser(network())
    for request in (Request("d", prompt="a"), Request("d", length=3), Request("d", condition={"label": 1})):
        with pytest.raises(UserError, match="rows of 4 columns"):
            model.encode(request)
    with pytest.raises(UserError, match="guidance"):
        model.unconditional(inputs([[5, 5, 5, 5]]))
