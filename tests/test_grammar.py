"""Components as they are written on the command line and in YAML."""

import math

import pytest
import yaml

from harness.errors import UserError
from harness.grammar import parse_grids, read_grids, scalar
from harness.spec import Component


def components(grids):
    return [component for grid in grids for component in grid.components()]


def test_the_command_line_form():
    got = components(parse_grids("eb:gamma=0.01|1:proxy=margin, confidence", "--samplers"))
    assert got == [
        Component(name="eb", args={"gamma": 0.01, "proxy": "margin"}),
        Component(name="eb", args={"gamma": 1, "proxy": "margin"}),
        Component(name="confidence"),
    ]
    assert components(parse_grids("x:choice-temperature=1", "")) == [
        Component(name="x", args={"choice_temperature": 1})
    ]


def test_a_task_of_lm_eval_has_a_colon_in_its_name():
    got = components(parse_grids("lm_eval:gsm8k,lm_eval:mbpp:num_fewshot=0|3", "--tasks"))
    assert got == [
        Component(name="lm_eval:gsm8k"),
        Component(name="lm_eval:mbpp", args={"num_fewshot": 0}),
        Component(name="lm_eval:mbpp", args={"num_fewshot": 3}),
    ]
    assert components(read_grids({"name": "lm_eval:gsm8k", "num_fewshot": 5}, "suite"))[0].name == "lm_eval:gsm8k"


@pytest.mark.parametrize(
    ("flag", "written"),
    [
        ("eb:gamma=0.01|0.1|1,confidence", "[{name: eb, gamma: [0.01, 0.1, 1]}, confidence]"),
        ("eb:gamma=1e-3:block=8|16", "{name: eb, gamma: 1.0e-3, block: [8, 16]}"),
        ("maskgit:clamp=false:anneal=constant", "{name: maskgit, clamp: false, anneal: constant}"),
        ("random", "random"),
        ("random,eb:gamma=1", '"random,eb:gamma=1"'),
        ("random,eb:gamma=1|2", "[random, 'eb:gamma=1|2']"),
    ],
)
def test_both_forms_say_the_same(flag, written):
    assert components(read_grids(yaml.safe_load(written), "suite")) == components(parse_grids(flag, "flag"))


def test_grids_are_every_combination_in_order():
    got = [component.args for component in components(parse_grids("x:a=1|2:b=u|v", ""))]
    assert got == [{"a": 1, "b": "u"}, {"a": 1, "b": "v"}, {"a": 2, "b": "u"}, {"a": 2, "b": "v"}]


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("1", 1),
        ("1.5", 1.5),
        ("1e-3", 1e-3),
        ("1E5", 1e5),
        ("true", True),
        ("null", None),
        ("word", "word"),
        ("-2", -2),
    ],
)
def test_scalars(text, value):
    got = scalar(text, "flag")
    assert got == value
    assert type(got) is type(value)


@pytest.mark.parametrize(("text", "value"), [(".inf", math.inf), ("inf", math.inf)])
def test_infinities_are_numbers_and_left_to_the_parameter_to_refuse(text, value):
    assert scalar(text, "flag") == value


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "--samplers: empty item"),
        ("eb,,random", "--samplers: empty item in 'eb,,random'"),
        ("eb:gamma", "'gamma' in 'eb:gamma' is not parameter=value"),
        ("eb:=1", "'=1' in 'eb:=1'"),
        ("eb:gamma=", "'gamma=' in"),
        ("eb:gamma={a", "'{a' is not a number or a word"),
        ("eb:gamma={a: 1}", "'.*' is not "),
        ("eb:gamma=2020-01-01", "'2020-01-01' is not a number or a word"),
    ],
)
def test_mistakes_on_the_command_line(text, message):
    with pytest.raises(UserError, match=message):
        parse_grids(text, "--samplers")


@pytest.mark.parametrize(
    ("value", "message"),
    [
        (3, "s.yaml: 3 is neither a name"),
        (None, "s.yaml: None is neither"),
        ({"gamma": 1}, "s.yaml: {'gamma': 1} has no `name`"),
        ({"name": 3}, "has no `name`"),
        ({"name": "eb", "gamma": {"a": 1}}, "eb: gamma: {'a': 1} is not a number"),
        ({"name": "eb", "gamma": [[1]]}, r"eb: gamma: \[1\] is not a number"),
        ([{"name": "eb"}, 7], "7 is neither"),
    ],
)
def test_mistakes_in_yaml(value, message):
    with pytest.raises(UserError, match=message):
        read_grids(value, "s.yaml")
