"""The Inception score against torchmetrics and against values that are known."""

import numpy as np
import pytest
import torch
from torchmetrics.image.inception import InceptionScore

from harness.metrics import inception_score as module
from harness.metrics.inception_score import inception_score


def probabilities(count, classes=12, seed=0):
    logits = torch.randn(count, classes, generator=torch.Generator().manual_seed(seed), dtype=torch.float64) * 2
    return logits.softmax(1).numpy()


@pytest.mark.filterwarnings("ignore:Metric `InceptionScore` will save")
def test_it_is_that_of_torchmetrics_on_each_run_of_rows(monkeypatch):
    monkeypatch.setattr(module, "BLOCK", 7)
    rows = probabilities(60)
    scores = []
    for part in np.split(rows, 3):
        metric = InceptionScore(feature=torch.nn.Identity(), splits=1)
        metric.update(torch.from_numpy(part).log())
        scores.append(float(metric.compute()[0]))
    value, error = inception_score(rows, splits=3)
    assert value == pytest.approx(np.mean(scores), rel=1e-6)
    assert error == pytest.approx(np.std(scores, ddof=1) / np.sqrt(3), rel=1e-5)


def test_sure_and_varied_pictures_score_the_number_of_classes_and_all_alike_one():
    assert inception_score(np.tile(np.eye(5), (4, 1)), splits=2) == pytest.approx((5, 0))
    assert inception_score(np.full((20, 5), 0.2), splits=2) == pytest.approx((1, 0))


def test_too_few_rows_are_refused():
    with pytest.raises(ValueError, match="at least 20 rows, got 19"):
        inception_score(probabilities(19))
