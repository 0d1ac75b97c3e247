"""The diffusion transformer and the model of digits around it."""

import math

import pytest
import torch
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.utils.flop_counter import FlopCounterMode

from harness.errors import UserError
from harness.models.digits_data import digits_split
from harness.models.digits_dit import DigitsDiT, scaled
from harness.models.dit import SIGMA_DATA, DiT, DiTConfig, images, patches
from harness.task import Request

CONFIG = DiTConfig(size=8, classes=10, width=16, heads=2, encoder_depth=2, decoder_depth=1)


@pytest.fixture
def network():
    torch.manual_seed(0)
    dit = DiT(CONFIG)
    for parameter in dit.parameters():  # the head and the modulations begin at zero
        torch.nn.init.normal_(parameter, std=0.3)
    return dit.eval()


def test_patches_lie_where_they_should():
    image = torch.arange(64.0)[None]
    made = patches(image, 2)
    assert made[0, 0].tolist() == [0, 1, 8, 9]
    assert made[0, 5].tolist() == [18, 19, 26, 27]
    assert torch.equal(images(made, 2), image)


def test_the_scaled_digits_have_the_deviation_of_edm():
    values = scaled(torch.from_numpy(digits_split().train_images), 2)
    assert abs(float(values.mean())) < 1e-3
    assert float(values.std()) == pytest.approx(SIGMA_DATA, abs=1e-3)


def test_an_untrained_network_is_the_best_linear_denoiser():
    """EDM's preconditioning: where the network says nothing, D(x; σ) = x σ_d² / (σ² + σ_d²)."""
    x, sigma = torch.randn(3, 16, 4), torch.tensor([0.1, 0.5, 40.0])
    made = DiT(CONFIG)(x, sigma, torch.zeros(3, dtype=torch.long))
    assert torch.allclose(made, x * (SIGMA_DATA**2 / (sigma**2 + SIGMA_DATA**2))[:, None, None])


def test_the_network_sees_inputs_and_gives_outputs_of_unit_scale(network):
    """D = c_skip x + c_out F(c_in x): what is left of D at σ is F of x at unit variance."""
    x, label = torch.randn(2, 16, 4), torch.zeros(2, dtype=torch.long)
    sigma = torch.full((2,), 3.0)
    condition = network.condition(sigma, label)
    total = 3.0**2 + SIGMA_DATA**2
    raw = network.decoder(network.encoder(network.patch(x / math.sqrt(total)), condition), condition)
    expected = SIGMA_DATA**2 / total * x + 3.0 * SIGMA_DATA / math.sqrt(total) * raw
    assert torch.allclose(network(x, sigma, label), expected, atol=1e-6)


def test_the_encoder_can_run_on_some_places(network):
    x, sigma = torch.randn(2, 16, 4), torch.tensor([0.2, 1.0])
    condition = network.condition(sigma, torch.tensor([3, 10]))
    shuffled = torch.stack([torch.randperm(16), torch.randperm(16)])
    moved = x.gather(1, shuffled[:, :, None].expand(-1, -1, 4))
    whole = network.encode(x, sigma, condition)
    again = network.encode(moved, sigma, condition, shuffled)
    assert torch.allclose(again, whole.gather(1, shuffled[:, :, None].expand(-1, -1, 16)), atol=1e-5)
    part = network.encode(x[:, :5], sigma, condition, torch.arange(5).expand(2, -1))
    assert part.shape == (2, 5, 16)
    assert not torch.allclose(part, whole[:, :5], atol=1e-3)


def test_flops_are_those_that_are_counted(network):
    model = DigitsDiT(network)
    inputs = {"x": torch.randn(3, 64), "sigma": torch.ones(3)}
    # The fused kernel of a CPU is not counted.
    with FlopCounterMode(display=False) as counter, sdpa_kernel(SDPBackend.MATH):
        model.network({"label": torch.tensor([0, 1, 2])}, inputs)
    tokens, flops = model.work(inputs)
    assert tokens.tolist() == [16, 16, 16]
    assert float(flops.sum()) == counter.get_total_flops()


def test_requests_become_rows_and_values_become_grey_levels(network):
    model = DigitsDiT(network)
    row = model.encode(Request("a", length=64, condition={"label": 3}))
    assert (row.condition, len(row.tokens), row.grid) == ({"label": 3}, 64, (8, 8))
    for wrong in (
        Request("a", length=64),
        Request("a", length=64, condition={"label": 10}),
        Request("a", length=9, condition={"label": 1}),
        Request("a", prompt="three", condition={"label": 1}),
    ):
        with pytest.raises(UserError, match="document 'a'"):
            model.encode(wrong)
    image = torch.from_numpy(digits_split().test_images[:1])
    assert model.decode(images(scaled(image, 2), 2)[0].tolist()).tokens == tuple(image[0].tolist())
    assert model.decode([-9.0, 9.0]).tokens == (0, 16)
