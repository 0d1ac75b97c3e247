"""Tokens a second of a tiny model, through the command line too."""

import re

import pytest
import torch
from checkpoints import write_llada
from click.testing import CliRunner

from harness.bench.speed import Timed, measure
from harness.cli.bench_model import model as command
from harness.errors import UserError
from harness.models.text import loading
from harness.models.text.families import llada
from harness.task import Request


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return write_llada(tmp_path_factory.mktemp("speed") / "llada")


def test_what_is_measured_adds_up(folder):
    denoiser = llada(pretrained=str(folder), dtype="float32")
    speed = measure(denoiser, nfe=4, tokens=12, prompt=6, batch=3)
    assert (speed.nfe, speed.tokens, speed.peak) == (4, 36, None)
    assert 0 < speed.forward < speed.seconds
    row = len(denoiser.encode(Request("0", prompt="x" * 6, length=12)).tokens)
    assert speed.flops > 3 * 4 * 2 * (4 * 64**2 + 3 * 64 * 160) * row  # the first layer's matrices alone
    assert denoiser.eos_ids
    assert Timed(denoiser).eos_ids == frozenset()


def test_the_command_writes_a_table_with_device_and_date(folder, tmp_path):
    arguments = ["--model-args", f"pretrained={folder},dtype=float32", "--nfe", "6,2", "--tokens", "6", "--prompt", "3"]
    done = CliRunner().invoke(command, [*arguments, "--output", str(tmp_path / "speed.md")])
    assert done.exit_code == 0, done.output
    text = (tmp_path / "speed.md").read_text()
    assert re.search(r"^\* date: \d{4}-", text, re.M)
    assert "* rows: 1, 6 tokens after 3 characters" in text
    lines = re.findall(
        r"^\| (\d+) \| [\d.]+ \| [\d.e-]+ \| [\d.]+% \| [\d.]+% \|  \| [\d.e+]+ \| [\d.]+% \|$", text, re.M
    )
    assert lines == ["6", "2"]
    wrong = CliRunner().invoke(command, [*arguments, "--nfe", "7"])
    assert isinstance(wrong.exception, UserError)
    assert "--nfe 7: a number of forward passes is at least 1 and at most the 6 tokens" in str(wrong.exception)


def test_a_gpu_that_is_too_small_is_named_before_weights_are_made(monkeypatch):
    monkeypatch.setattr(torch.cuda, "mem_get_info", lambda device: (12 * 10**9, 24 * 10**9))
    monkeypatch.setattr(loading, "_random_weights", None)
    message = r"--device cuda has 12\.0 GB free, and the weights in bfloat16 take 16\.0 GB\. Use a smaller dtype"
    with pytest.raises(UserError, match=message):
        llada(random="8b", device="cuda")


def test_random_weights_are_of_no_checkpoint(folder):
    sizes = ["--nfe", "2", "--tokens", "4", "--prompt", "3"]
    done = CliRunner().invoke(command, ["--model-args", f"random={folder},dtype=float32", *sizes])
    assert f"* model: llada (random={folder}, chat=True, dtype=float32, bucket=32)" in done.output
