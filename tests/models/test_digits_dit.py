"""The shipped weights of `digits_dit`: all methods and seeds are there, and make digits."""

import json

import pytest
import torch
from safetensors import safe_open

from harness.models.digits_dit import digits_dit
from harness.models.weights_file import find_weights
from harness.training.dit_quality import Quality

METHODS = ("clean_to_clean", "no_branches", "noisy_to_clean", "noisy_to_noisy", "plain")


@pytest.mark.parametrize("seed", [0, 1, 2])
@pytest.mark.parametrize("method", METHODS)
def test_every_method_has_its_weights(method, seed):
    with safe_open(find_weights(f"mc_dit/{method}_{seed}"), framework="pt") as file:
        about = json.loads(file.metadata()["about"])
    assert about["network"] == "DiTConfig"
    assert about["config"] == {
        "size": 8, "classes": 10, "patch": 2, "width": 40, "heads": 4, "encoder_depth": 3, "decoder_depth": 1
    }  # fmt: skip


def test_the_samples_are_as_good_as_the_card_says():
    torch.manual_seed(0)
    found = Quality().samples(digits_dit().dit)
    assert found["frechet_distance"] < 2
    assert found["class_accuracy"] > 0.7
