"""The built-in models, by name. Metadata only: the code behind a name is imported when it is loaded."""

from harness.models.info import ModelInfo, models

__all__ = ["ModelInfo", "models"]

_EXACT = "harness.models.exact"

models.add(
    "exact/chain",
    f"{_EXACT}:chain",
    ModelInfo("Exact conditionals of a sparse Markov chain", "tokens"),
)
models.add(
    "exact/tree",
    f"{_EXACT}:tree",
    ModelInfo("Exact conditionals of a tree: a root decides section heads, heads decide details", "tokens"),
)
models.add(
    "exact/parity",
    f"{_EXACT}:parity",
    ModelInfo("Exact conditionals of groups bound by a parity check, uniform token by token", "tokens"),
)
models.add(
    "exact/independent",
    f"{_EXACT}:independent",
    ModelInfo("Control: independent tokens, all of which may be unmasked at once", "tokens"),
)
models.add(
    "digits",
    "harness.models.digits:digits",
    ModelInfo(
        "Class-conditional masked diffusion over 8x8 handwritten digits",
        "image",
        revision="harness.models.weights_file:digits_revision",
    ),
)
models.add(
    "digits_dit",
    "harness.models.digits_dit:digits_dit",
    ModelInfo(
        "Class-conditional continuous diffusion over 8x8 handwritten digits, by the generators heun and ddim",
        "image",
        citation="MC-DiT, NeurIPS 2024, OpenReview y9sHKrdnRt",
        revision="harness.models.weights_file:digits_dit_revision",
        canvas=False,
    ),
)
models.add(
    "table",
    "harness.models.tables.denoiser:table",
    ModelInfo(
        "Masked diffusion of the rows of a table, with or without a learned order of its columns",
        "tokens",
        "arXiv 2511.19152",
        revision="harness.models.weights_file:table_revision",
    ),
)
models.add(
    "digits_dimo",
    "harness.models.digits:digits_dimo",
    ModelInfo(
        "One-step student of digits, for the sampler one_step; also a masked diffusion model",
        "image",
        citation="Zhu et al. 2025, arXiv 2503.15457",
        revision="harness.models.weights_file:digits_revision",
    ),
)
models.add(
    "mini",
    "harness.models.mini.denoiser:mini",
    ModelInfo(
        "A small multimodal masked diffusion model: writes, draws, answers about pictures, fills puzzles",
        "text, image",
        revision="harness.models.weights_file:mini_revision",
    ),
)
models.add(
    "mini_dimo",
    "harness.models.mini.denoiser:mini_dimo",
    ModelInfo(
        "One-step student of mini, for the sampler one_step; draws pictures",
        "image",
        citation="Zhu et al. 2025, arXiv 2503.15457",
        revision="harness.models.weights_file:mini_revision",
    ),
)
models.add(
    "llada",
    "harness.models.text.families:llada",
    ModelInfo(
        "LLaDA 8B Base, Instruct or 1.5, or its network with random weights",
        "text",
        citation="Nie et al. 2025, arXiv 2502.09992; ML-GSAI/LLaDA",
        revision="harness.models.text.families:llada_revision",
        weightless=True,
        compiles=True,
    ),
)
models.add(
    "llada_moe",
    "harness.models.text.families:llada_moe",
    ModelInfo(
        "LLaDA-MoE 7B, or its network with random weights",
        "text",
        citation="Zhu et al. 2025, arXiv 2509.24389; inclusionAI/LLaDA-MoE-7B-A1B-Instruct",
        revision="harness.models.text.families:llada_moe_revision",
        weightless=True,
    ),
)
models.add(
    "dream",
    "harness.models.text.families:dream",
    ModelInfo(
        "Dream v0 7B or DiffuCoder 7B, or its network with random weights",
        "text",
        citation="Ye et al. 2025, arXiv 2508.15487; DreamLM/Dream",
        revision="harness.models.text.families:dream_revision",
        weightless=True,
        compiles=True,
    ),
)
for _name, _trunk in (("llada", "LLaDA 8B"), ("dream", "Dream 7B")):
    models.add(
        f"{_name}_fast_dllm",
        f"harness.models.text.cached:{_name}_fast_dllm",
        ModelInfo(
            f"{_trunk} with Fast-dLLM's prefix or dual cache: approximate",
            "text",
            citation="Wu et al. 2025, arXiv 2505.22618; NVlabs/Fast-dLLM",
            revision=f"harness.models.text.cached:{_name}_fast_dllm_revision",
            semantics=2 if _name == "dream" else 1,
            weightless=True,
            approximate=True,
        ),
    )
    models.add(
        f"{_name}_dllm_cache",
        f"harness.models.text.cached:{_name}_dllm_cache",
        ModelInfo(
            f"{_trunk} with dLLM-Cache, which renews a part of its features: approximate",
            "text",
            citation="Liu et al. 2025, arXiv 2506.06295; maomaocun/dLLM-cache",
            revision=f"harness.models.text.cached:{_name}_dllm_cache_revision",
            weightless=True,
            approximate=True,
        ),
    )
models.add(
    "hf_masked",
    "harness.models.text.hf_masked:hf_masked",
    ModelInfo(
        "Any masked language model of the Hugging Face hub, by configuration",
        "text",
        citation="The checkpoint's own",
        revision="harness.models.text.hf_masked:revision",
        compiles=True,
    ),
)
models.add(
    "llada_v",
    "harness.models.seeing.families:llada_v",
    ModelInfo(
        "LLaDA-V 8B, which sees pictures and writes, or its network with random weights",
        "text",
        citation="You et al. 2025, arXiv 2505.16933; ML-GSAI/LLaDA-V",
        revision="harness.models.seeing.families:llada_v_revision",
        weightless=True,
        compiles=True,
    ),
)
models.add(
    "lavida",
    "harness.models.seeing.families:lavida",
    ModelInfo(
        "LaViDa on LLaDA 8B or Dream 7B, which sees pictures and writes, or its network with random weights",
        "text",
        citation="Li et al. 2025, arXiv 2505.16839; jacklishufan/LaViDa",
        revision="harness.models.seeing.families:lavida_revision",
        weightless=True,
        compiles=True,
    ),
)
models.add(
    "dimple",
    "harness.models.seeing.families:dimple",
    ModelInfo(
        "Dimple 7B, which sees pictures and writes, or its network with random weights",
        "text",
        citation="Yu et al. 2025, arXiv 2505.16990; yu-rp/Dimple",
        revision="harness.models.seeing.families:dimple_revision",
        weightless=True,
        compiles=True,
    ),
)
models.add(
    "mdlm",
    "harness.models.text.mdlm:mdlm",
    ModelInfo(
        "MDLM's diffusion transformer, trained on OpenWebText, or its network with random weights",
        "text",
        citation="Sahoo et al. 2024, arXiv 2406.07524; kuleshov-group/mdlm",
        revision="harness.models.text.mdlm:revision",
        weightless=True,
    ),
)
models.add(
    "causal_lm",
    "harness.models.text.causal_lm:causal_lm",
    ModelInfo(
        "Any causal language model of transformers, as the autoregressive reference point",
        "text",
        citation="The checkpoint's own",
        revision="harness.models.text.causal_lm:revision",
        canvas=False,
    ),
)
_IMAGE = "harness.models.image"
models.add(
    "halton_maskgit",
    f"{_IMAGE}.halton_maskgit:halton_maskgit",
    ModelInfo(
        "Halton-MaskGIT: ImageNet pictures of a class, 256 or 384 pixels, or its network with random weights",
        "image",
        citation="Besnier et al. 2025, arXiv 2503.17076; valeoai/Halton-MaskGIT",
        revision=f"{_IMAGE}.halton_maskgit:revision",
    ),
)
models.add(
    "maskgit_pytorch",
    f"{_IMAGE}.maskgit_pytorch:maskgit_pytorch",
    ModelInfo(
        "MaskGIT in PyTorch: ImageNet pictures of a class, the teacher of Di[M]O",
        "image",
        citation="Besnier & Chen 2023, arXiv 2310.14400; valeoai/Halton-MaskGIT at v1.0",
        revision=f"{_IMAGE}.maskgit_pytorch:revision",
    ),
)
models.add(
    "dit",
    f"{_IMAGE}.latent_dit:dit",
    ModelInfo(
        "DiT: ImageNet pictures of a class by continuous diffusion of latents, for the generators heun and ddim",
        "image",
        citation="Peebles & Xie 2023, arXiv 2212.09748; facebookresearch/DiT",
        revision=f"{_IMAGE}.latent_dit:revision",
        canvas=False,
    ),
)
models.add(
    "meissonic",
    f"{_IMAGE}.meissonic:meissonic",
    ModelInfo(
        "Meissonic 1B: pictures of a text, of up to 1,024 pixels, or its network with random weights",
        "image",
        citation="Bai et al. 2024, arXiv 2410.08261; viiika/Meissonic",
        revision=f"{_IMAGE}.meissonic:revision",
        semantics=2,
    ),
)
models.add(
    "meissonic_dimo",
    f"{_IMAGE}.meissonic:meissonic_dimo",
    ModelInfo(
        "One-step student of meissonic, for the sampler one_step",
        "image",
        citation="Zhu et al. 2025, arXiv 2503.15457; yuanzhi-zhu/DiMO",
        revision=f"{_IMAGE}.meissonic:dimo_revision",
        semantics=2,
    ),
)
models.add(
    "maskgit_dimo",
    f"{_IMAGE}.maskgit_pytorch:maskgit_dimo",
    ModelInfo(
        "One-step student of maskgit_pytorch, for the sampler one_step",
        "image",
        citation="Zhu et al. 2025, arXiv 2503.15457; yuanzhi-zhu/DiMO",
        revision=f"{_IMAGE}.maskgit_pytorch:dimo_revision",
    ),
)
models.add(
    "mmada",
    f"{_IMAGE}.mmada:mmada",
    ModelInfo(
        "MMaDA 8B, text to image by codes of MAGVIT-v2, or its network with random weights",
        "image",
        citation="Yang et al. 2025, arXiv 2505.15809; Gen-Verse/MMaDA",
        revision=f"{_IMAGE}.mmada:revision",
        weightless=True,
        compiles=True,
    ),
)
models.add(
    "lumina_dimoo",
    f"{_IMAGE}.lumina_dimoo:lumina_dimoo",
    ModelInfo(
        "Lumina-DiMOO 8B, text to image by codes of aMUSEd's codec, or its network with random weights",
        "image",
        citation="Xin et al. 2025, arXiv 2510.06308; Alpha-VLLM/Lumina-DiMOO",
        revision=f"{_IMAGE}.lumina_dimoo:revision",
        weightless=True,
        compiles=True,
    ),
)
models.add(
    "mmada_vqa",
    f"{_IMAGE}.mmada:mmada_vqa",
    ModelInfo(
        "MMaDA 8B, which reads pictures by codes of MAGVIT-v2 and writes, or its network with random weights",
        "text",
        citation="Yang et al. 2025, arXiv 2505.15809; Gen-Verse/MMaDA",
        revision=f"{_IMAGE}.mmada:vqa_revision",
        weightless=True,
        compiles=True,
    ),
)
models.add(
    "lumina_dimoo_vqa",
    f"{_IMAGE}.lumina_dimoo:lumina_dimoo_vqa",
    ModelInfo(
        "Lumina-DiMOO 8B, which reads pictures by codes of aMUSEd's and writes, or its network with random weights",
        "text",
        citation="Xin et al. 2025, arXiv 2510.06308; Alpha-VLLM/Lumina-DiMOO",
        revision=f"{_IMAGE}.lumina_dimoo:vqa_revision",
        weightless=True,
        compiles=True,
    ),
)
