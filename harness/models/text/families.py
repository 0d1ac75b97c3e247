"""The families of published text models, with their sizes."""

from __future__ import annotations

from harness.models.text.layouts import LLADA, LLADA_MOE, PLAIN
from harness.models.text.model import Family, factory, revision_of

LLADA_8B = Family(
    pretrained="GSAI-ML/LLaDA-8B-Instruct",
    layout=LLADA,
    random={
        "8b": {
            "d_model": 4096,
            "n_layers": 32,
            "n_heads": 32,
            "mlp_hidden_size": 12288,
            "vocab_size": 126464,
            "max_sequence_length": 4096,
            "rope_theta": 500_000.0,
            "weight_tying": False,
            "mask_token_id": 126336,
            "eos_token_id": 126081,
        }
    },
    end_of_turn="<|eot_id|>",
)
"""LLaDA 8B: Base, Instruct and 1.5 (Nie et al. 2025, arXiv 2502.09992; Zhu et al. 2025, arXiv 2505.19223)."""

LLADA_MOE_7B = Family(
    pretrained="inclusionAI/LLaDA-MoE-7B-A1B-Instruct",
    layout=LLADA_MOE,
    random={
        "7b": {
            "hidden_size": 2048,
            "num_hidden_layers": 16,
            "num_attention_heads": 16,
            "expert_intermediate_size": 1024,
            "num_experts": 64,
            "num_experts_per_tok": 8,
            "vocab_size": 157184,
            "max_position_embeddings": 8192,
            "rope_theta": 50_000.0,
            "mask_token_id": 156895,
            "eos_token_id": 156892,
        }
    },
    end_of_turn="<|role_end|>",
    mask="<|mask|>",
)
"""LLaDA-MoE 7B, of which 1.4 are active (Zhu et al. 2025, arXiv 2509.24389), Base and Instruct."""

DREAM_7B = Family(
    pretrained="Dream-org/Dream-v0-Instruct-7B",
    layout=PLAIN["qwen2"],
    random={
        "7b": {
            "hidden_size": 3584,
            "num_hidden_layers": 28,
            "num_attention_heads": 28,
            "num_key_value_heads": 4,
            "intermediate_size": 18944,
            "vocab_size": 152064,
            "max_position_embeddings": 131072,
            "rope_theta": 1_000_000.0,
            "mask_token_id": 151666,
            "eos_token_id": 151643,
        }
    },
    end_of_turn="<|im_end|>",
    shift=True,
    bos=True,
)
"""Dream v0 7B, Base and Instruct (Ye et al. 2025, arXiv 2508.15487), and DiffuCoder 7B (Gong et al. 2025, arXiv
2506.20639), which has the same layout."""

llada, llada_revision = factory(LLADA_8B), revision_of(LLADA_8B)
dream, dream_revision = factory(DREAM_7B), revision_of(DREAM_7B)
llada_moe, llada_moe_revision = factory(LLADA_MOE_7B), revision_of(LLADA_MOE_7B)
