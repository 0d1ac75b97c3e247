"""Objects from Mask2Former's logits, against transformers' own post-processing and torchvision's boxes."""

import numpy as np
import pytest
import torch
from image_checkpoints import write_mask2former

from harness.errors import UserError
from harness.metrics.mask2former import LEAST_SCORE, InstanceDetector, objects


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return write_mask2former(tmp_path_factory.mktemp("detector"), sharpness=60)


def random_logits(seed, queries=100):
    rng = torch.Generator().manual_seed(seed)
    logits = torch.randn(queries, 81, generator=rng) * 3
    coarse = torch.randn(1, queries, 6, 6, generator=rng) * 4
    return logits, torch.nn.functional.interpolate(coarse, size=(96, 96), mode="bicubic")[0]


@pytest.mark.parametrize("seed", range(3))
def test_at_384_pixels_the_objects_are_those_of_transformers(seed):
    from transformers import Mask2FormerImageProcessor
    from transformers.models.mask2former.modeling_mask2former import Mask2FormerForUniversalSegmentationOutput

    logits, masks = random_logits(seed)
    out = Mask2FormerForUniversalSegmentationOutput(class_queries_logits=logits[None], masks_queries_logits=masks[None])
    (theirs,) = Mask2FormerImageProcessor().post_process_instance_segmentation(
        out, threshold=LEAST_SCORE, target_sizes=[(384, 384)], return_binary_maps=True
    )
    scores = [segment["score"] for segment in theirs["segments_info"]]
    order = np.argsort(scores)[::-1]
    ours = objects(logits, masks, (384, 384))
    assert len(ours.scores) == len(scores) > 30
    np.testing.assert_allclose(ours.scores, np.array(scores)[order], atol=2e-6)
    best = order[:30].copy()  # transformers rounds scores to six digits, so that the last ones are in any order
    assert ours.labels[:30].tolist() == [theirs["segments_info"][place]["label_id"] for place in best]
    assert np.array_equal(ours.masks[:30], theirs["segmentation"][best].bool().numpy())


def test_boxes_go_from_the_first_pixel_of_a_mask_to_after_its_last():
    from torchvision.ops import masks_to_boxes

    found = objects(*random_logits(5), (70, 50))
    assert found.masks.shape[1:] == (70, 50)
    theirs = masks_to_boxes(torch.from_numpy(found.masks)).numpy()
    np.testing.assert_array_equal(found.boxes, theirs + np.array([0, 0, 1, 1]))


def test_masks_that_are_empty_are_no_objects():
    logits, masks = random_logits(0)
    assert len(objects(logits, masks - 1e4, (40, 40)).labels) == 0


def test_a_picture_without_a_sure_query_has_no_objects():
    _, masks = random_logits(5)
    found = objects(torch.zeros(100, 81), masks, (40, 40))
    assert len(found.labels) == 0
    assert found.masks.shape == (0, 40, 40)


def test_batches_and_mixed_sizes_change_nothing(folder):
    rng = np.random.default_rng(0)
    sizes = [(40, 48), (40, 48), (64, 64), (40, 48), (40, 48), (40, 48)]
    pictures = [rng.integers(0, 256, (*size, 3), dtype=np.uint8) for size in sizes]
    one, many = (list(InstanceDetector(str(folder), count).detect(pictures)) for count in (1, 2))
    assert sum(len(found.labels) for found in one) > 5
    for a, b, size in zip(one, many, sizes, strict=True):
        assert a.masks.shape[1:] == b.masks.shape[1:] == size
        np.testing.assert_allclose(a.scores, b.scores, atol=1e-4)
        assert (a.scores[:-1] >= a.scores[1:]).all()


def test_what_is_no_detector_of_coco_is_refused(folder, tmp_path, monkeypatch):
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    InstanceDetector(str(folder)).check()
    with pytest.raises(
        UserError, match=r"the detector .*nowhere/at-all.* cannot be loaded.*hf download nowhere/at-all"
    ):
        InstanceDetector("nowhere/at-all").check()
    with pytest.raises(UserError, match=r"cannot be loaded.*A folder must hold config.json"):
        InstanceDetector(str(tmp_path)).check()
    from transformers import AutoConfig

    config = AutoConfig.from_pretrained(folder)
    config.id2label = dict(enumerate("abc"))
    (tmp_path / "preprocessor_config.json").write_text((folder / "preprocessor_config.json").read_text())
    config.save_pretrained(tmp_path)
    with pytest.raises(UserError, match=r"has no model.safetensors"):
        InstanceDetector(str(tmp_path)).check()
    (tmp_path / "model.safetensors").write_bytes(b"")
    with pytest.raises(UserError, match=r"knows 3 classes, from 'a' to 'c'; the 80 of COCO"):
        InstanceDetector(str(tmp_path)).check()


def test_weights_with_a_tensor_missing_are_refused(folder, tmp_path):
    from safetensors.torch import load_file, save_file

    for file in folder.glob("*.json"):
        (tmp_path / file.name).write_bytes(file.read_bytes())
    tensors = load_file(folder / "model.safetensors")
    del tensors["class_predictor.weight"]
    save_file(tensors, tmp_path / "model.safetensors", metadata={"format": "pt"})
    with pytest.raises(UserError, match=r"lack 1 tensors, the first is class_predictor.weight"):
        list(InstanceDetector(str(tmp_path)).detect([np.zeros((40, 40, 3), np.uint8)]))
