"""The built-in generators, by name, as the samplers in the package's own file."""

from harness.samplers.info import SamplerInfo, samplers

_EDM = "harness.samplers.edm"
_PIXELS = frozenset({"denoises_pixels"})

samplers.add(
    "heun",
    f"{_EDM}:Heun",
    SamplerInfo(
        "Probability-flow ODE by EDM's steps of second order",
        "Karras et al. 2022, arXiv 2206.00364, algorithm 1",
        "2 calls, the last step 1",
        needs=_PIXELS,
        generator=True,
    ),
)
samplers.add(
    "ddim",
    f"{_EDM}:Ddim",
    SamplerInfo(
        "DDIM: the same ODE by Euler steps, with fresh noise if wanted",
        "Song et al. 2021, arXiv 2010.02502, equation 12",
        needs=_PIXELS,
        generator=True,
    ),
)
samplers.add(
    "autoregressive",
    "harness.samplers.autoregressive:Autoregressive",
    SamplerInfo(
        "Next-token decoding, left to right, with a cache of keys and values",
        "any causal language model; the reference point of masked diffusion",
        cost="1 call of the tokens that are new",
        knob=None,
        needs=frozenset({"next_token"}),
        generator=True,
    ),
)
