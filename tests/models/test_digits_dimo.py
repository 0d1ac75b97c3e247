"""The shipped student of digits: it makes digits in one step, and none of them is lost."""

import torch

from harness.engine.generator import Job
from harness.engine.loop import CanvasEngine
from harness.models.digits import digits_dimo
from harness.models.digits_classifier import classify, load_classifier
from harness.models.digits_data import CLASSES, digits_split
from harness.samplers import samplers
from harness.samplers.one_step import OneStep
from harness.spec import Decoding
from harness.task import Request
from harness.training.dimo_teachers import likeness

LABELS = [i % CLASSES for i in range(200)]


def test_one_step_is_as_good_as_the_card_says():
    model = digits_dimo()
    assert (model.start.mask_ratio, model.start.perturbation) == (0.6, 0.1)
    info = samplers["one_step"].info
    requests = [Request(f"{i:03d}", condition={"label": label}) for i, label in enumerate(LABELS)]
    jobs = [Job("", request, 0, OneStep(), info, Decoding(temperature=1), None, 0) for request in requests]
    made = {one.job.request.document: one.output.tokens for one in CanvasEngine(model, 100).generate(jobs)}
    classifier = load_classifier()
    features, predicted = classify(classifier, torch.tensor([made[request.document] for request in requests]))
    real, _ = classify(classifier, torch.from_numpy(digits_split().train_images))
    found = likeness(real.numpy(), features.numpy())
    assert found["frechet_distance"] < 1.2
    assert found["recall"] > 0.9
    assert (predicted == torch.tensor(LABELS)).double().mean() > 0.8
    assert torch.bincount(predicted, minlength=CLASSES).min() > 8
