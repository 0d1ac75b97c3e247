"""What trainings with a learned order are compared by: their files, pairs of seeds, and mistakes."""

import json
import math

import numpy as np
import pytest
import yaml
from click.testing import CliRunner

from harness.analysis.orders import differences, figure, markdown, read, stability, summary, write
from harness.cli.bench_orders import orders
from harness.errors import UserError


def training(root, data, method, seed, nats, rates=(), **recipe):
    folder = root / f"{data}_{method}_{seed}".replace("/", "_")
    folder.mkdir(parents=True)
    objective = {"data": data, "method": method, "split": seed}
    content = {"problem": "table", "seed": seed, "steps": 10, "objective": objective, **recipe}
    (folder / "recipe.yaml").write_text(yaml.safe_dump(content))
    result = {"nats_per_row": nats, "nats_per_row_uniform_orders": nats + 0.5, "nats_per_row_fixed_order": nats - 0.25}
    result |= {"nats": [nats - 1, nats, nats + 1 + seed], "nats_fixed_order": [nats, nats - 1, nats + 2]}
    result |= {"order_entropy": 0.5} | {f"log_rate/c{i}": rate for i, rate in enumerate(rates)}
    (folder / "result.json").write_text(json.dumps(result))
    return folder


@pytest.fixture
def folders(tmp_path):
    made = []
    for seed, (control, learned) in enumerate([(10.0, 9.0), (12.0, 10.5), (11.0, 11.5)]):
        made.append(training(tmp_path, "wine", "uniform", seed, control, [0.0, 0.0, 0.0]))
        made.append(training(tmp_path, "wine", "rloo", seed, learned, [1.0, 0.1 * seed, -1.0]))
    made.append(training(tmp_path, "dir/mine.csv", "order_space", 0, 3.0, [0.5, -0.5]))
    made.append(training(tmp_path, "dir/mine.csv", "uniform", 0, 3.5, [0.0, 0.0]))
    return made


def test_differences_are_paired_by_seed(folders):
    found = differences(read(folders)).set_index(["data", "method", "measure"])
    row = found.loc[("wine", "rloo", "nats")]
    values = np.array([-1.0, -1.5, 0.5])
    half = 4.302652729911275 * values.std(ddof=1) / math.sqrt(3)  # Student's t of two degrees of freedom
    assert row[["mean", "low", "high"]].tolist() == pytest.approx(
        [values.mean(), values.mean() - half, values.mean() + half]
    )
    assert (row["better"], row["seeds"]) == (2, 3)
    # The fixed order is compared with the control's: both are 0.25 below what they are in the mean.
    assert found.loc[("wine", "rloo", "fixed_order"), "mean"] == pytest.approx(values.mean())
    alone = found.loc[("mine", "order_space", "nats")]
    assert alone["mean"] == -0.5
    assert math.isnan(alone["low"])


def test_rows_are_paired_within_their_seed(tmp_path):
    made = []
    for seed in range(2):
        made += [
            training(tmp_path, "wine", "uniform", seed, 5.0),
            training(tmp_path, "wine", "rloo", seed, 4.0, [1, -1]),
        ]
        path = made[-1] / "result.json"
        path.write_text(json.dumps(json.loads(path.read_text()) | {"nats": [2.0 + seed, 5.0, 5.0 + seed]}))
    row = differences(read(made)).set_index("measure").loc["nats"]
    # Rows of the controls: 4, 5, 6 and 4, 5, 7.
    errors = [np.std(each, ddof=1) / math.sqrt(3) for each in ([-2, 0, -1], [-1, 0, -1])]
    half = 1.959964 * math.hypot(*errors) / 2
    assert [row["rows_low"], row["rows_high"]] == pytest.approx([-1 - half, -1 + half])


def test_summary_and_stability(folders):
    row = summary(read(folders)).set_index(["data", "method"]).loc[("wine", "rloo")]
    assert row["nats"] == pytest.approx((9 + 10.5 + 11.5) / 3)
    assert row["nats_stderr"] == pytest.approx(np.std([9, 10.5, 11.5], ddof=1) / math.sqrt(3))
    assert row["tau"] == pytest.approx(1)
    ranks = [{"a": 1.0, "b": 0.0, "c": -1.0}, {"a": -1.0, "b": 0.0, "c": 1.0}, {"a": 1.0, "b": -1.0, "c": 0.0}]
    assert stability(ranks) == pytest.approx((-1 + 1 / 3 - 1 / 3) / 3)
    assert math.isnan(stability(ranks[:1]))
    assert math.isnan(stability([{}, {}]))


def test_files(folders, tmp_path):
    result = CliRunner().invoke(orders, [*map(str, folders), "--output", str(tmp_path / "out")])
    assert result.exit_code == 0, result.output
    text = (tmp_path / "out" / "orders.md").read_text()
    assert "| wine    | rloo        | own orders  | -0.667       |" in text
    assert "rows_nats" not in (tmp_path / "out" / "orders.csv").read_text()
    assert "2 of 3" in text
    first, again = (write(read(folders), tmp_path / name) for name in ("out", "again"))
    assert [path.read_bytes() for path in first] == [path.read_bytes() for path in again]
    assert len((tmp_path / "out" / "rates.csv").read_text().splitlines()) == 1 + 6 * 3 + 2 * 2
    assert "order_space" in markdown(read(folders))
    assert len(figure(read(folders)).axes) == 4


def test_mistakes_are_named(folders, tmp_path):
    with pytest.raises(UserError, match=r"no finished training.*result\.json"):
        read([tmp_path / "absent"])
    other = training(tmp_path / "more", "wine", "uniform", 7, 1.0, steps=20)
    with pytest.raises(UserError, match="other settings"):
        read([*folders, other])
    twin = training(tmp_path / "twin", "wine", "uniform", 0, 1.0)
    with pytest.raises(UserError, match="another training has its table, method and seed"):
        read([*folders, twin])
    strange = training(tmp_path / "strange", "wine", "uniform", 0, 1.0, problem="digits")
    with pytest.raises(UserError, match="a training of 'digits'"):
        read([strange])
    (strange / "recipe.yaml").write_text("{problem: table, seed: 0, objective: {data: wine}}")
    (strange / "result.json").write_text('{"nats_per_row": 1.0}')
    with pytest.raises(UserError, match="earlier version"):
        read([strange])
