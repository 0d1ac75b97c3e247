"""The built-in samplers of images alone, by name, as the others in the package's own file."""

from harness.samplers.info import SamplerInfo, samplers

samplers.add(
    "halton",
    "harness.samplers.halton:Halton",
    SamplerInfo(
        "Cells of an image in the order of a Halton sequence, on an arccos schedule",
        "Besnier et al. 2025, arXiv 2503.17076; valeoai/Halton-MaskGIT Sampler/halton_sampler.py",
        needs=frozenset({"grid"}),
    ),
)
samplers.add(
    "maskgit_arccos",
    "harness.samplers.maskgit_arccos:MaskGITArccos",
    SamplerInfo(
        "Arccos schedule, confidence of the drawn token plus annealed Gumbel noise, or random order",
        "Besnier & Chen 2023, arXiv 2310.14400; valeoai/Halton-MaskGIT at v1.0, Trainer/vit.py",
        official=(("ramp", True),),
    ),
)
