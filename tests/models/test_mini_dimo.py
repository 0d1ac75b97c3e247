"""The shipped student of mini: in one forward it draws what is asked more often than its teacher, hardly two alike."""

import numpy as np
import pytest
import torch

from harness.engine.generator import Job
from harness.engine.loop import CanvasEngine
from harness.errors import UserError
from harness.miniworld import captions, scenes
from harness.miniworld.vocabulary import FIRST_CODE
from harness.models.mini.denoiser import mini, mini_dimo
from harness.samplers import samplers
from harness.samplers.one_step import OneStep
from harness.samplers.topk import Random
from harness.spec import Decoding
from harness.task import Request
from harness.training.dimo_teachers import correct, unique

PROMPTS = captions.test_prompts(20)


def pictures(model, sampler, name):
    requests = [Request(f"{i:03d}", prompt=each["prompt"]) for i, each in enumerate(PROMPTS)]
    jobs = [Job("", request, 0, sampler, samplers[name].info, Decoding(temperature=1), 1, 0) for request in requests]
    made = {one.job.request.document: one.output.tokens for one in CanvasEngine(model, 120).generate(jobs)}
    return torch.tensor([made[request.document] for request in requests]) - FIRST_CODE


def share_right(codes):
    return np.mean([correct(each, scenes.pixels(row)) for each, row in zip(PROMPTS, codes.numpy(), strict=True)])


def test_one_step_of_the_student_draws_what_one_of_the_teacher_does_not():
    student, teacher = mini_dimo(), mini()
    assert (student.start.mask_ratio, student.start.perturbation) == (0.6, 0.1)
    made = pictures(student, OneStep(), "one_step")
    assert share_right(made) > 0.12
    assert unique(made) > 0.95
    assert share_right(pictures(teacher, Random(), "random")) < 0.05


def test_it_draws_pictures_and_nothing_else():
    with pytest.raises(UserError, match="draws pictures, and nothing else"):
        mini_dimo().encode(Request("a", prompt="write a story .", length=64))
