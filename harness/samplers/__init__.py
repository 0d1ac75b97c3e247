"""The built-in samplers, by name. Metadata only: the code behind a name is imported when it is loaded."""

from harness.samplers.info import SamplerInfo, samplers

__all__ = ["SamplerInfo", "samplers"]

_TOPK = "harness.samplers.topk"

samplers.add(
    "random",
    f"{_TOPK}:Random",
    SamplerInfo("Uniformly random positions, an even number a step", "Sahoo et al. 2024, arXiv 2406.07524"),
)
samplers.add(
    "sequential",
    "harness.samplers.sequential:Sequential",
    SamplerInfo(
        "One position a step; exact with an exact model",
        "Kim et al. 2025, arXiv 2502.06768, section 2",
        knob=None,
    ),
)
samplers.add(
    "confidence",
    f"{_TOPK}:Confidence",
    SamplerInfo("Most confident positions, an even number a step", "Nie et al. 2025, arXiv 2502.09992, algorithm 5"),
)
samplers.add(
    "margin",
    f"{_TOPK}:Margin",
    SamplerInfo("Largest gap between the two best tokens, an even number a step", "Kim et al. 2025, arXiv 2502.06768"),
)
samplers.add(
    "entropy",
    f"{_TOPK}:Entropy",
    SamplerInfo("Lowest entropy, an even number a step", "DreamLM/Dream generation_utils.py, alg=entropy"),
)
samplers.add(
    "threshold",
    "harness.samplers.threshold:Threshold",
    SamplerInfo(
        "Every position at least τ confident, and the best one",
        "Wu et al. 2025, arXiv 2505.22618",
        knob="tau",
        sweep=(0.5, 0.7, 0.8, 0.9, 0.95),
    ),
)
samplers.add(
    "eb",
    "harness.samplers.eb:EntropyBound",
    SamplerInfo(
        "Largest set whose entropy, less its largest, is at most γ",
        "Ben-Hamu et al. 2025, arXiv 2505.24857",
        knob="gamma",
        sweep=(0.01, 0.1, 0.5, 1.0, 2.0, 5.0),
    ),
)
samplers.add(
    "maskgit",
    "harness.samplers.maskgit:MaskGIT",
    SamplerInfo(
        "Cosine schedule, confidence of the drawn token plus annealed Gumbel noise",
        "Chang et al. 2022, arXiv 2202.04200",
    ),
)
samplers.add(
    "punt",
    "harness.samplers.punt:Punt",
    SamplerInfo(
        "A set of positions that do not influence one another, found by binary probes",
        "Azangulov et al. 2025, arXiv 2510.21961, algorithm 1",
        cost="1 + at most ⌈log₂ m⌉ calls",
        calls=None,
        knob="epsilon",
        sweep=(0.01, 0.02, 0.04, 0.08, 0.16, 0.32),
    ),
)
samplers.add(
    "freecorrection",
    "harness.samplers.freecorrection:FreeCorrection",
    SamplerInfo(
        "MaskGIT that re-masks visible tokens of low time-averaged confidence",
        "Ouyang et al. 2026, arXiv 2602.02927",
        may_remask=True,
    ),
)
