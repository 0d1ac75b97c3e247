"""Samplers that look beyond the plain prediction: probes, verification, lookahead, attention."""

from __future__ import annotations

from harness.samplers.info import SamplerInfo, samplers

samplers.add(
    "punt_batched",
    "harness.samplers.punt:PuntBatched",
    SamplerInfo(
        "PUNT with all its probes in one call; our own variant, more conservative",
        "after Azangulov et al. 2025, arXiv 2510.21961",
        cost="2 dependent calls, of 1 + ⌈log₂ m⌉ sequence-forwards",
        calls=None,
        knob="epsilon",
        sweep=(0.01, 0.02, 0.04, 0.08, 0.16, 0.32),
    ),
)
samplers.add(
    "wino",
    "harness.samplers.wino:Wino",
    SamplerInfo(
        "Drafts generously, and masks again what a shadow of the block does not support",
        "Hong et al. 2025, arXiv 2507.18578; Feng-Hong/WINO-DLLM LLaDA/decoding.py",
        cost="1 call of the canvas and a block more tokens",
        knob="tau1",
        sweep=(0.5, 0.6, 0.7, 0.8, 0.9),
        may_remask=True,
        needs=frozenset({"positions", "attention_bias"}),
        # Masks plus tokens just unmasked, at most 20 (30 before the first step), fall with every step.
        patience=30,
    ),
)
samplers.add(
    "freecorrection_loo",
    "harness.samplers.freecorrection_loo:FreeCorrectionLOO",
    SamplerInfo(
        "Masks again the visible tokens of low leave-one-out probability",
        "after Ouyang et al. 2026, arXiv 2602.02927; Kegard/Lavida M3CoT/StepMask/free_correction.py",
        cost="1 call, and ⌈visible / chunk⌉ of a sequence-forward for each visible token",
        calls=None,
        may_remask=True,
    ),
)
samplers.add(
    "freedave",
    "harness.samplers.freedave:FreeDave",
    SamplerInfo(
        "A schedule-based sampler's own tokens, several steps drafted and verified at once",
        "arXiv 2510.00294; cychomatica/FreeDave generation/core.py",
        cost="1 dependent call of `draft` sequence-forwards, one more at first",
        calls=None,
    ),
)
samplers.add(
    "info_gain",
    "harness.samplers.info_gain:InfoGain",
    SamplerInfo(
        "Looks a step ahead with several candidate actions, and takes the most informative",
        "Yang et al. 2026, arXiv 2602.18176; yks23/Information-Gain-Sampler src/samplers/info_gain.py",
        cost="1 dependent call of at most `candidates` sequence-forwards, one more at first",
        calls=None,
    ),
)
samplers.add(
    "dapd",
    "harness.samplers.dapd:DAPD",
    SamplerInfo(
        "A set of positions that attend little to one another",
        "arXiv 2603.12996; quasar529/DAPD dapd/core.py",
        cost="1 call with attention maps",
        knob="tau_max",
        sweep=(0.02, 0.05, 0.15, 0.3, 0.6, 1.0),
        needs=frozenset({"attention"}),
    ),
)
samplers.add(
    "dawn",
    "harness.samplers.dawn:DAWN",
    SamplerInfo(
        "Confident positions, those that lean on them, and a set that is not coupled by attention",
        "Luo et al. 2026, arXiv 2602.06953; silence1024/DAWN llada/generate.py",
        cost="1 call with attention maps",
        knob="tau_low",
        sweep=(0.1, 0.3, 0.5, 0.7, 0.9),
        needs=frozenset({"attention"}),
    ),
)
