"""From names and arguments to objects: defaults written out, and each mistake named."""

import pytest

from harness.components import load_model, make_sampler, resolve_model, resolve_sampler
from harness.errors import UserError
from harness.samplers.eb import EntropyBound
from harness.spec import ModelSpec, SamplerSpec


def test_samplers_have_every_default_written_out():
    spec = resolve_sampler("eb", {"gamma": 1}, "flag")
    assert spec == SamplerSpec(name="eb", args={"gamma": 1.0, "proxy": "entropy", "block": 0})
    assert type(spec.args["gamma"]) is float
    assert make_sampler(spec) == EntropyBound(gamma=1.0)


def test_equal_samplers_are_equally_written():
    assert resolve_sampler("eb", {}, "a") == resolve_sampler("eb", {"gamma": 0.1, "block": 0}, "b")


@pytest.mark.parametrize(
    ("name", "args", "message"),
    [
        ("eb", {"gama": 1.0}, r"flag: sampler 'eb' has no parameter 'gama'\. Did you mean 'gamma'\?"),
        ("eb", {"gamma": "big"}, "sampler 'eb': gamma is 'big': .*number"),
        ("eb", {"gamma": True}, "gamma is True"),
        ("eb", {"gamma": None}, "gamma is None"),
        ("eb", {"gamma": -0.1}, "gamma is -0.1; it must be at least 0"),
        ("eb", {"gamma": float("nan")}, "gamma is nan; it must be a finite number"),
        ("eb", {"gamma": float("inf")}, "gamma is inf; it must be a finite number"),
        ("eb", {"block": 1.5}, "block is 1.5: .*integer"),
        ("eb", {"block": "8"}, "block is '8'"),
        ("eb", {"block": -1}, "block is -1; it must be at least 0"),
        ("eb", {"block": 10**30}, "block is 1000+; it must fit 64 bits"),
        ("eb", {"proxy": "entropi"}, r"proxy is 'entropi'\. Did you mean 'entropy'\?"),
        ("threshold", {"tau": 1.5}, "tau is 1.5; it must be between 0 and 1"),
        ("maskgit", {"clamp": 1}, "clamp is 1"),
        ("maskgit", {"clamp": "yes"}, "clamp is 'yes'"),
        ("ebb", {}, r"unknown sampler 'ebb'\. Did you mean 'eb'\?"),
    ],
)
def test_mistakes_in_samplers(name, args, message):
    with pytest.raises(UserError, match=message):
        resolve_sampler(name, args, "flag")


def test_models_have_every_default_but_the_device_written_out():
    spec = resolve_model("exact/parity", {"length": 4, "group": 2}, "flag")
    assert spec == ModelSpec(
        name="exact/parity", args={"vocab": 2, "length": 4, "group": 2, "noise": 1e-4, "visible": "leave_one_out"}
    )
    assert load_model(spec, "cpu").joint.length == 4


@pytest.mark.parametrize(
    ("name", "args", "message"),
    [
        ("exact/chain", {"lenght": 4}, r"flag: model 'exact/chain' has no argument 'lenght'\. Did you mean 'length'\?"),
        ("exact/chain", {"length": "4"}, "model 'exact/chain': length is '4'"),
        ("exact/chain", {"length": 4.0}, "length is 4.0"),
        ("exact/chain", {"visible": "two_hot"}, "visible is 'two_hot'"),
        ("exact/chain", {"device": "cuda"}, "has no argument 'device'"),
        ("exact/chains", {}, "unknown model 'exact/chains'. Did you mean 'exact/chain'"),
    ],
)
def test_mistakes_in_models(name, args, message):
    with pytest.raises(UserError, match=message):
        resolve_model(name, args, "flag")
