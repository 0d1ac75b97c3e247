"""DiT over latents: against numbers of the released code, the exact denoiser of a Gaussian in its limits, PyTorch's
count of FLOPs, and the generators that run it."""

import json

import pytest
import torch
from released_weights import official, tensors
from safetensors.torch import load_file, save_file
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.utils.flop_counter import FlopCounterMode

from harness.components import identify, make_sampler, resolve_model
from harness.engine.engine import Engine
from harness.engine.generator import Job
from harness.errors import UserError
from harness.models.image.codecs.kl import KLShape, random_kl
from harness.models.image.latent_dit import SIZES, LatentDiT, dit
from harness.samplers import samplers
from harness.spec import Decoding, SamplerSpec
from harness.task import Request


@pytest.fixture(scope="module")
def arguments(tmp_path_factory):
    folder = tmp_path_factory.mktemp("dit")
    torch.save(tensors("dit"), folder / "dit.pt")
    random_kl(KLShape(32, (1, 2), 1), "cpu").network.save_pretrained(folder / "vae")
    return {"pretrained": f"{folder}/dit.pt", "vae": f"{folder}/vae", "heads": 4}


@pytest.fixture(scope="module")
def model(arguments):
    return dit(**arguments)


def latents():
    return torch.sin(torch.arange(2 * 4 * 64).double() * 0.77).float().view(2, 4, 8, 8)


def test_the_noise_is_that_of_the_released_code(model):
    noise = model.transformer(latents(), torch.tensor([3.0, 600.0]), torch.tensor([1, 10]))
    torch.testing.assert_close(noise.flatten()[::17], torch.tensor(official()["dit"]["noise"]), atol=2e-5, rtol=1e-5)


def test_the_step_is_the_one_whose_noise_is_as_strong(model):
    kept = torch.cumprod(1 - torch.linspace(1e-4, 0.02, 1000, dtype=torch.float64), 0)
    steps = torch.tensor([0, 1, 500, 999])
    sigma = ((1 - kept) / kept).sqrt()[steps]
    assert model.time(sigma).tolist() == pytest.approx(steps.tolist(), abs=1e-4)
    assert model.time(torch.tensor([1e-6, 1e6])).tolist() == [0, 999]
    between = model.time((sigma[1:2] * sigma[:1]).sqrt())
    assert 0 < between.item() < 1


def test_it_denoises_by_the_predicted_noise(model):
    x, sigma, label = 3 * latents().flatten(1).double(), torch.tensor([0.5, 20.0]).double(), torch.tensor([4, 10])
    scaled = (x / (1 + sigma[:, None] ** 2).sqrt()).view(2, 4, 8, 8).float()
    noise = model.transformer(scaled, model.time(sigma), label).flatten(1)
    clean = model.network({"label": label}, {"x": x, "sigma": sigma})
    torch.testing.assert_close(clean.double(), x - sigma[:, None] * noise.double(), atol=1e-4, rtol=1e-5)


def test_flops_are_those_that_torch_counts(model):
    inputs = {"x": latents().flatten(1), "sigma": torch.tensor([1.0, 2.0])}
    with sdpa_kernel(SDPBackend.MATH), FlopCounterMode(display=False) as counter:
        model.network({"label": torch.tensor([1, 2])}, inputs)
    tokens, flops = model.work(inputs)
    assert tokens.tolist() == [16, 16]
    assert flops.sum().item() == counter.get_total_flops()


@pytest.mark.parametrize("generator", ["heun", "ddim"])
def test_generators_make_pictures(model, generator):
    sampler = make_sampler(SamplerSpec(name=generator, args={"sigma_min": 0.01, "sigma_max": 157.0}))
    info, decoding = samplers[generator].info, Decoding(guidance=0.5)
    jobs = [Job("cell", Request(f"{i}", condition={"label": i}), 0, sampler, info, decoding, 3, 0) for i in range(3)]
    made = list(Engine(model, batch_size=2).generate(jobs))
    assert {each.output.image.shape for each in made} == {(16, 16, 3)}
    assert {each.cost.nfe for each in made} == {10 if generator == "heun" else 6}
    assert len({each.output.image.tobytes() for each in made}) == 3


def test_the_revision_tells_network_and_autoencoder_apart(arguments):
    revision = identify(resolve_model("dit", arguments, "here")).revision
    assert len(set(revision.split("+"))) == 2


def test_what_is_wrong_with_the_autoencoder_is_found_before_it_is_loaded(arguments, tmp_path):
    random_kl(KLShape(32, (1, 2), 1), "cpu").network.save_pretrained(tmp_path)
    path = tmp_path / "diffusion_pytorch_model.safetensors"
    found = load_file(path)
    save_file({key: value for key, value in found.items() if key != "decoder.conv_in.bias"}, path)
    spec = resolve_model("dit", {**arguments, "vae": str(tmp_path)}, "here")
    with pytest.raises(UserError, match=r"missing: decoder\.conv_in\.bias"):
        identify(spec)
    path.unlink()
    with pytest.raises(UserError, match=r"vae: .* has no weights of a codec"):
        identify(spec)


def test_the_autoencoder_s_attention_may_have_its_old_names(arguments, tmp_path):
    """As the file of `stabilityai/sd-vae-ft-ema` has them; diffusers itself reads it so."""
    network = random_kl(KLShape(32, (1, 2), 1), "cpu").network
    network.save_pretrained(tmp_path)
    path = tmp_path / "diffusion_pytorch_model.safetensors"
    names = {"to_q": "query", "to_k": "key", "to_v": "value", "to_out.0": "proj_attn"}

    def old(key):
        for new, before in names.items():
            key = key.replace(f".{new}.", f".{before}.")
        return key

    save_file({old(key): value for key, value in load_file(path).items()}, path)
    theirs = type(network).from_pretrained(str(tmp_path)).state_dict()
    ours = dit(**{**arguments, "vae": str(tmp_path)}).codec.network.state_dict()
    assert ours.keys() == theirs.keys()
    assert all(torch.equal(ours[key], theirs[key]) for key in ours)


def test_what_is_wrong_is_said(arguments, tmp_path, model):
    broken = tensors("dit")
    del broken["final_layer.linear.bias"]
    torch.save({"ema": broken, "model": tensors("dit")}, tmp_path / "broken.pt")
    random_kl(KLShape(32, (1, 2), 1, channels=8), "cpu").network.save_pretrained(tmp_path / "wide")
    for changed, said in (
        ({"pretrained": f"{tmp_path}/broken.pt"}, "missing: final_layer.linear.bias"),
        ({"pretrained": ""}, "DiT-XL-2-256x256.pt"),
        ({"vae": f"{tmp_path}/wide"}, "8 channels, and the network's 4"),
        ({"vae": f"{tmp_path}/none"}, "neither a folder nor a name"),
        ({"heads": 0}, "how many attention heads"),
    ):
        with pytest.raises(UserError, match=said):
            dit(**{**arguments, **changed})
    for request in (Request("a"), Request("a", condition={"label": 10}), Request("a", prompt="x")):
        with pytest.raises(UserError, match="'a'"):
            model.encode(request)


def test_random_weights_of_any_size(tmp_path):
    sizes = {"width": 32, "depth": 1, "heads": 2, "side": 4, "classes": 3}
    config = {**sizes, "vae": {"width": 32, "multipliers": [1, 1], "blocks": 1}}
    (tmp_path / "config.json").write_text(json.dumps(config))
    model = dit(random=str(tmp_path))
    assert model.decode([0.1] * 64).image.shape == (8, 8, 3)


def test_the_largest_has_the_published_number_of_parameters():
    """675 million, of which the paper does not count the fixed embedding of places."""
    with torch.device("meta"):
        network = LatentDiT(SIZES["256_xl2"])
    assert sum(each.numel() for each in network.parameters()) / 1e6 == pytest.approx(675, abs=1)
