"""The built-in samplers, by name. Metadata only: the code behind a name is imported when it is loaded."""

from harness.samplers import generators, pictures, verifying  # noqa: F401 (registers them)
from harness.samplers.info import SamplerInfo, samplers

__all__ = ["SamplerInfo", "samplers"]

_TOPK = "harness.samplers.topk"

samplers.add(
    "random",
    f"{_TOPK}:Random",
    SamplerInfo(
        "Uniformly random positions, an even number a step",
        "Sahoo et al. 2024, arXiv 2406.07524",
        cacheable=True,
    ),
)
samplers.add(
    "sequential",
    "harness.samplers.sequential:Sequential",
    SamplerInfo(
        "One position a step; exact with an exact model",
        "Kim et al. 2025, arXiv 2502.06768, section 2",
        knob=None,
        cacheable=True,
    ),
)
samplers.add(
    "confidence",
    f"{_TOPK}:Confidence",
    SamplerInfo(
        "Most confident positions, an even number a step",
        "Nie et al. 2025, arXiv 2502.09992, algorithm 5",
        cacheable=True,
    ),
)
samplers.add(
    "margin",
    f"{_TOPK}:Margin",
    SamplerInfo(
        "Largest gap between the two best tokens, an even number a step",
        "Kim et al. 2025, arXiv 2502.06768",
        cacheable=True,
    ),
)
samplers.add(
    "entropy",
    f"{_TOPK}:Entropy",
    SamplerInfo(
        "Lowest entropy, an even number a step",
        "DreamLM/Dream generation_utils.py, alg=entropy",
        cacheable=True,
    ),
)
samplers.add(
    "threshold",
    "harness.samplers.threshold:Threshold",
    SamplerInfo(
        "Every position at least τ confident, and the best one",
        "Wu et al. 2025, arXiv 2505.22618",
        knob="tau",
        sweep=(0.5, 0.7, 0.8, 0.9, 0.95),
        cacheable=True,
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
        cacheable=True,
    ),
)
samplers.add(
    "maskgit",
    "harness.samplers.maskgit:MaskGIT",
    SamplerInfo(
        "Cosine schedule, confidence of the drawn token plus annealed Gumbel noise",
        "Chang et al. 2022, arXiv 2202.04200",
        protocols=(
            ("mmada", (("choice_temperature", 1.0), ("anneal", "compounding"), ("rounded", True))),
            ("lumina_dimoo", (("choice_temperature", 1.0), ("anneal", "constant"), ("rounded", True))),
            ("meissonic", (("choice_temperature", 2.0), ("anneal", "linspace"), ("rounded", True))),
        ),
        cacheable=True,
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
        official=(("cap", 16.0), ("unit", "tokens"), ("gate", "literal"), ("rounded", True)),
        cacheable=True,
    ),
)

# Ancestral sampling, and re-masking on its schedule.
samplers.add(
    "ancestral",
    "harness.samplers.ancestral:Ancestral",
    SamplerInfo(
        "The diffusion posterior on T equal steps; steps that reveal nothing are skipped",
        "Sahoo et al. 2024, arXiv 2406.07524, equation 7",
        cost="1 call, none at a step that reveals nothing",
        cacheable=True,
    ),
)
samplers.add(
    "first_hitting",
    "harness.samplers.ancestral:FirstHitting",
    SamplerInfo(
        "The diffusion process from one unmasking to the next; exact with an exact model",
        "Zheng et al. 2024, arXiv 2409.02908, section 4",
        knob=None,
    ),
)
samplers.add(
    "learned_order",
    "harness.samplers.learned_order:LearnedOrder",
    SamplerInfo(
        "The positions that come next by the model's own schedule, an even number a step",
        "arXiv 2511.19152, algorithm 1",
        needs=frozenset({"schedule"}),
    ),
)
samplers.add(
    "learned_ancestral",
    "harness.samplers.learned_order:LearnedAncestral",
    SamplerInfo(
        "The diffusion posterior of a model whose positions have schedules of their own, on T equal steps",
        "arXiv 2511.19152; Sahoo et al. 2024, arXiv 2406.07524, equation 7",
        cost="1 call, none at a step that reveals nothing",
        needs=frozenset({"schedule"}),
    ),
)
samplers.add(
    "remdm",
    "harness.samplers.remdm:ReMDM",
    SamplerInfo(
        "Ancestral sampling that re-masks visible tokens with probability σ",
        "Wang et al. 2025, arXiv 2503.00307",
        cost="1 call, none at a step that unmasks nothing",
        may_remask=True,
        cacheable=True,
    ),
)
samplers.add(
    "p2",
    "harness.samplers.p2:P2",
    SamplerInfo(
        "Keeps the best-scored draws on a linear schedule, visible tokens with a weight η",
        "Peng et al. 2025, arXiv 2502.03540",
        may_remask=True,
        cacheable=True,
    ),
)
samplers.add(
    "rcr",
    "harness.samplers.rcr:RCR",
    SamplerInfo(
        "Unmasks all, then re-masks what was least confident when it was unmasked",
        "He et al. 2025, arXiv 2508.13148",
        may_remask=True,
    ),
)
samplers.add(
    "t2m",
    "harness.samplers.t2m:T2M",
    SamplerInfo(
        "Threshold by blocks, with suspicious tokens masked again",
        "arXiv 2604.18738, algorithm 1; synsis/remasked_DLM remask/modeling_remask.py",
        cost="1 call; a full block is looked over at least once",
        knob="tau",
        sweep=(0.3, 0.5, 0.6, 0.7, 0.8, 0.9, 0.95),
        may_remask=True,
        # It ends because a position is masked again `max_remasks` times at most: this only stops a broken model.
        patience=10_000,
    ),
)

samplers.add(
    "one_step",
    "harness.samplers.one_step:OneStep",
    SamplerInfo(
        "All positions at once, from the initial tokens of a one-step student",
        "Zhu et al. 2025, arXiv 2503.15457",
        knob=None,
        needs=frozenset({"start"}),
    ),
)

# Decoders of language models.
samplers.add(
    "llada",
    "harness.samplers.llada:LLaDA",
    SamplerInfo(
        "Highest probability of the token drawn, by the official quota a step, with end-of-text options",
        "Nie et al. 2025, arXiv 2502.09992, algorithm 5; ML-GSAI/LLaDA generate.py",
        official=(("rounded", True),),
        cacheable=True,
    ),
)
samplers.add(
    "dream",
    "harness.samplers.dream:Dream",
    SamplerInfo(
        "Entropy, margin, confidence or chance after temperature, top-p and top-k, over the whole canvas",
        "Ye et al. 2025, arXiv 2508.15487; DreamLM/Dream generation_utils.py",
        official=(("literal", True), ("rounded", True), ("top_k", 50)),
        cacheable=True,
    ),
)
samplers.add(
    "factor",
    "harness.samplers.factor:Factor",
    SamplerInfo(
        "Most confident n positions, n the largest with (n + 1)(1 − c) ≤ f",
        "Wu et al. 2025, arXiv 2505.22618, section 3.3",
        knob="f",
        sweep=(0.25, 0.5, 1.0, 1.5, 2.0),
        official=(("literal", True),),
        cacheable=True,
    ),
)
samplers.add(
    "klass",
    "harness.samplers.klass:Klass",
    SamplerInfo(
        "Every confident position whose distribution has not moved for n steps",
        "Kim et al. 2025, arXiv 2511.05664",
        knob="tau",
        sweep=(0.5, 0.6, 0.7, 0.8, 0.9),
    ),
)
samplers.add(
    "dus",
    "harness.samplers.dus:Dilated",
    SamplerInfo(
        "Positions far apart first, the stride shrinking from round to round",
        "Luxembourg et al. 2025, arXiv 2506.19037",
        cost="1 call, ⌈log_a B⌉ a block",
        knob="block",
        sweep=(2, 4, 8, 16, 32, 64),
        # Rounds in a row that skip all their positions.
        patience=32,
        cacheable=True,
    ),
)
samplers.add(
    "localleap",
    "harness.samplers.localleap:LocalLeap",
    SamplerInfo(
        "Confidence threshold, relaxed near positions that meet it",
        "Kong et al. 2025, arXiv 2510.07081",
        knob="tau",
        sweep=(0.5, 0.7, 0.8, 0.9, 0.95),
        cacheable=True,
    ),
)
samplers.add(
    "pc",
    "harness.samplers.pc:PositionCorpus",
    SamplerInfo(
        "Confidence weighted by position and by how rare the token is in a corpus, an even number a step",
        "Huang et al. 2025, arXiv 2508.13021",
    ),
)
samplers.add(
    "saber",
    "harness.samplers.saber:Saber",
    SamplerInfo(
        "More confident than the tokens so far, then masks again what fell most in confidence",
        "Dong et al. 2025, arXiv 2510.18165; zhaoyMa/Saber decoding.py",
        knob="n",
        sweep=(1, 2, 4, 8),
        may_remask=True,
    ),
)
samplers.add(
    "slowfast",
    "harness.samplers.slowfast:SlowFast",
    SamplerInfo(
        "Cycles: find how far the model sees, then fill up to there on a shortened canvas",
        "Wei et al. 2025, arXiv 2506.10848; LiangrunFlora/Slow-Fast-Sampling",
        cost="1 call, of a shortened canvas in the fast phase",
        knob="tau",
        sweep=(0.5, 0.7, 0.8, 0.9, 0.95),
    ),
)
samplers.add(
    "credit",
    "harness.samplers.credit:Credit",
    SamplerInfo(
        "Confidence threshold on logits raised where a token has been the best before",
        "Wang et al. 2025, arXiv 2510.06133; inclusionAI/dInfer parallel_strategy.py",
        knob="tau",
        sweep=(0.5, 0.7, 0.8, 0.9, 0.95),
        cacheable=True,
    ),
)
samplers.add(
    "hierarchy",
    "harness.samplers.hierarchy:Hierarchy",
    SamplerInfo(
        "The best position of every run of masks, and every position above a threshold",
        "Ma et al. 2025, arXiv 2510.08666; inclusionAI/dInfer parallel_strategy.py",
        knob="tau",
        sweep=(0.5, 0.7, 0.8, 0.9, 0.95),
        cacheable=True,
    ),
)
samplers.add(
    "likelihood",
    "harness.samplers.likelihood:Likelihood",
    SamplerInfo(
        "Log-likelihood of given texts, by random masks: for tasks that ask which text is likelier",
        "Nie et al. 2025, arXiv 2502.09992, equation 6; ML-GSAI/LLaDA get_log_likelihood.py",
        cost="1 call a draw for each text",
        knob="draws",
        sweep=(1, 4, 16, 64, 128),
        needs=frozenset({"likelihood"}),
        patience=2**31,
        estimates=True,
    ),
)
