"""The model `digits` against its protocol, PyTorch's count of FLOPs, and a model that anybody can fit by counting."""

import numpy as np
import pytest
import torch
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.utils.flop_counter import FlopCounterMode

from harness.errors import UserError
from harness.models.base import Inputs
from harness.models.digits import DigitsDenoiser, digits
from harness.models.digits_classifier import classify, load_classifier
from harness.models.digits_data import digits_split
from harness.models.transformer import Transformer, TransformerConfig
from harness.models.weights_file import digits_revision, read_weights, write_weights
from harness.task import Request
from harness.training.objective import negative_elbo


@pytest.fixture(scope="module")
def model():
    return digits()


def partly_masked(count: int, seed: int = 0) -> Inputs:
    """Real test images with a random half of the pixels masked."""
    split = digits_split()
    generator = torch.Generator().manual_seed(seed)
    pick = torch.randint(len(split.test_images), (count,), generator=generator).numpy()
    tokens = torch.from_numpy(split.test_images[pick])
    tokens = torch.where(torch.rand(tokens.shape, generator=generator) < 0.5, 17, tokens)
    return Inputs(
        tokens=tokens,
        valid=torch.ones_like(tokens, dtype=torch.bool),
        positions=torch.arange(64).expand(count, 64),
        condition={"label": torch.from_numpy(split.test_labels[pick])},
    )


def everywhere(inputs: Inputs) -> torch.Tensor:
    return torch.arange(inputs.tokens.numel())


def test_split_is_a_partition_of_the_real_images():
    from sklearn.datasets import load_digits

    split = digits_split()
    ours = np.concatenate([split.train_images, split.test_images])
    theirs = load_digits().data.astype(np.int64)
    assert sorted(map(tuple, ours.tolist())) == sorted(map(tuple, theirs.tolist()))
    assert len(split.test_images) == 360
    assert set(np.bincount(split.test_labels)) <= {35, 36, 37}


def test_a_request_becomes_an_empty_grid_of_the_class(model):
    row = model.encode(Request("a", condition={"label": 7}))
    assert list(row.tokens) == [17] * 64
    assert all(row.editable)
    assert row.condition == {"label": 7}
    assert row.grid == (8, 8)
    assert model.decode(range(3)).tokens == (0, 1, 2)


@pytest.mark.parametrize(
    "request_",
    [
        Request("a"),
        Request("a", condition={"label": 10}),
        Request("a", condition={"label": 2.5}),
        Request("a", condition={"digit": 3}),
        Request("a", condition={"label": 3, "style": 1}),
        Request("a", prompt="three", condition={"label": 3}),
        Request("a", length=65, condition={"label": 3}),
    ],
)
def test_a_request_it_cannot_serve_is_refused(model, request_):
    with pytest.raises(UserError, match="'a'"):
        model.encode(request_)


def test_logits_are_finite_but_at_the_mask_and_follow_the_index(model):
    inputs = partly_masked(3)
    full, extra = model.logits(inputs, everywhere(inputs))
    assert full.shape == (3 * 64, model.vocab_size)
    assert extra == {}
    assert full[:, :17].isfinite().all()
    assert (full[:, model.mask_id] == float("-inf")).all()
    index = torch.tensor([5, 64, 130])
    assert torch.equal(model.logits(inputs, index)[0], full[index])


@pytest.mark.parametrize("threads", [1, 2])
@pytest.mark.parametrize("batch", [1, 7, 32])
def test_a_row_depends_on_itself_alone_bit_for_bit(model, threads, batch):
    before = torch.get_num_threads()
    torch.set_num_threads(threads)
    try:
        inputs, others = partly_masked(batch), partly_masked(batch, seed=1)
        alone, _ = model.logits(inputs, everywhere(inputs))
        alone = alone.view(batch, 64, -1)
        for slot in {0, batch // 2, batch - 1}:
            # The first row of `inputs`, in another slot, among other rows, with other positions asked for.
            tokens, label = others.tokens.clone(), others.condition["label"].clone()
            tokens[slot], label[slot] = inputs.tokens[0], inputs.condition["label"][0]
            mixed = Inputs(tokens, others.valid, others.positions, {"label": label})
            got, _ = model.logits(mixed, torch.arange(slot * 64, slot * 64 + 64))
            assert torch.equal(got, alone[0])
    finally:
        torch.set_num_threads(before)


def test_padding_and_what_it_holds_are_not_seen(model):
    inputs = partly_masked(2)
    plain, _ = model.logits(inputs, everywhere(inputs))
    index = torch.cat([torch.arange(64), torch.arange(80, 144)])

    def padded(fill: int) -> torch.Tensor:
        tokens = torch.nn.functional.pad(inputs.tokens, (0, 16), value=fill)
        valid = torch.nn.functional.pad(inputs.valid, (0, 16), value=False)
        wide = Inputs(tokens, valid, torch.arange(80).expand(2, 80), inputs.condition)
        return model.logits(wide, index)[0]

    assert torch.equal(padded(3), padded(17))
    torch.testing.assert_close(padded(3), plain, rtol=1e-4, atol=1e-4)


def test_label_matters_and_unconditional_forgets_it(model):
    inputs = partly_masked(4)
    other = Inputs(inputs.tokens, inputs.valid, inputs.positions, {"label": (inputs.condition["label"] + 1) % 10})
    index = everywhere(inputs)
    assert not torch.allclose(model.logits(inputs, index)[0][:, :17], model.logits(other, index)[0][:, :17], atol=0.1)
    without = [model.logits(model.unconditional(given), index)[0] for given in (inputs, other)]
    assert torch.equal(*without)


@pytest.mark.parametrize("sizes", [(128, 5, 4), (48, 2, 3)])
@pytest.mark.parametrize("length", [64, 16])
def test_flops_are_those_that_pytorch_counts(sizes, length):
    width, depth, heads = sizes
    model = DigitsDenoiser(Transformer(TransformerConfig(17, 64, 10, width, depth, heads)).eval())
    inputs = partly_masked(3)
    inputs = Inputs(inputs.tokens[:, :length], inputs.valid[:, :length], inputs.positions[:, :length], inputs.condition)
    # The plain attention kernel is counted by every version of PyTorch.
    with sdpa_kernel(SDPBackend.MATH), FlopCounterMode(display=False) as counter:
        model.logits(inputs, torch.tensor([0, 5]))
    ours = model.flops(torch.full((3,), length), torch.tensor([2, 0, 0]))
    assert ours.dtype == torch.float64
    assert ours.sum().item() == counter.get_total_flops()


def test_it_knows_more_than_the_pixels_of_each_class_do(model):
    """The bound must beat the exact likelihood of independent pixels, whose histograms per class are counted."""
    split = digits_split()
    counts = np.full((10, 64, 17), 0.1)
    np.add.at(counts, (split.train_labels[:, None], np.arange(64), split.train_images), 1)
    table = np.log(counts / counts.sum(-1, keepdims=True))
    independent = -table[split.test_labels[:, None], np.arange(64), split.test_images].sum(1).mean()

    def predict(tokens, labels):
        inputs = Inputs(
            tokens,
            torch.ones_like(tokens, dtype=torch.bool),
            torch.arange(64).expand_as(tokens),
            {"label": labels},
        )
        return model.logits(inputs, torch.arange(tokens.numel()))[0].view(*tokens.shape, -1)

    tokens, labels = (torch.from_numpy(part[:180]) for part in (split.test_images, split.test_labels))
    bound = negative_elbo(predict, tokens, labels, model.mask_id, orders=2).mean().item()
    assert bound < 0.95 * independent


def test_the_classifier_recognises_images_it_was_not_trained_on():
    split = digits_split()
    features, predicted = classify(load_classifier(), torch.from_numpy(split.test_images))
    assert features.shape == (360, 32)
    assert (predicted.numpy() == split.test_labels).mean() > 0.98


def test_weights_are_named_by_content_and_mistakes_are_explained(tmp_path):
    import hashlib

    config = TransformerConfig(17, 64, 10, 16, 1, 2)
    path = tmp_path / "own.safetensors"
    write_weights(path, config, Transformer(config).state_dict())
    assert digits(weights=str(path)).network.config == config
    assert digits_revision(weights=str(path)) == hashlib.sha256(path.read_bytes()).hexdigest()[:16]
    assert digits_revision(weights=str(path)) != digits_revision()
    with pytest.raises(UserError, match="Did you mean 'digits'"):
        digits(weights="digit")
    with pytest.raises(UserError, match="no file"):
        digits(weights=str(tmp_path / "absent.safetensors"))
    with pytest.raises(UserError, match="holds ClassifierConfig, not TransformerConfig"):
        read_weights("digits_classifier", TransformerConfig)
    write_weights(path, config, Transformer(TransformerConfig(17, 60, 10, 16, 1, 2)).state_dict())
    with pytest.raises(UserError, match=r"own.safetensors does not fit .*position.weight.*\[60, 16\].*\[64, 16\]"):
        digits(weights=str(path))
    path.write_bytes(path.read_bytes()[:1000])
    with pytest.raises(UserError, match="not a readable safetensors file"):
        digits(weights=str(path))
