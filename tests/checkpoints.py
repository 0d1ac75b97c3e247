"""Checkpoints in the layout of the published ones, tiny and with random weights: what tests use in their place.

The `write_…` functions write all that a user has on disk: `config.json`, weights (sharded, with their index) and the
tokenizer's files with its chat template. No name of a tensor comes from the harness.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save_file
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
from torch import Tensor

TEXT = "The quick brown fox jumps over the lazy dog. Janet's ducks lay 16 eggs per day; she eats three for breakfast. "
LLADA_TEMPLATE = (
    "{% for message in messages %}{% set content = '<|start_header_id|>' + message['role'] + '<|end_header_id|>\n\n' + "
    "message['content'] | trim + '<|eot_id|>' %}{% if loop.index0 == 0 %}{% set content = bos_token + content %}"
    "{% endif %}{{ content }}{% endfor %}{{ '<|start_header_id|>assistant<|end_header_id|>\n\n' }}"
)
CHATML_TEMPLATE = (
    "{% if messages[0]['role'] != 'system' %}{{ '<|im_start|>system\nYou are a helpful assistant.<|im_end|>\n' }}"
    "{% endif %}{% for message in messages %}{{ '<|im_start|>' + message['role'] + '\n' + message['content'] + "
    "'<|im_end|>' + '\n' }}{% endfor %}{% if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}{% endif %}"
)
LLADA_SPECIAL = [
    *("<|startoftext|>", "<|endoftext|>", "<|mdm_mask|>"),
    *("<|start_header_id|>", "<|end_header_id|>", "<|eot_id|>"),
]
DREAM_SPECIAL = ["<|endoftext|>", "<|im_start|>", "<|im_end|>", "<|beginoftext|>", "<|mask|>"]


def write_llada(folder: Path, seed: int = 0, sizes: Mapping[str, Any] | None = None, shards: int = 3) -> Path:
    """A LLaDA checkpoint of two layers, 64 wide; `sizes` are values of `config.json` in place of these."""
    words = _bpe()
    ids = {token: len(words.get_vocab()) + i for i, token in enumerate(LLADA_SPECIAL)}
    config = {
        "architectures": ["LLaDAModelLM"],
        "auto_map": {"AutoModel": "modeling_llada.LLaDAModelLM"},
        "model_type": "llada",
        **{"activation_type": "silu", "block_type": "llama", "layer_norm_type": "rms", "block_group_size": 1},
        **{"d_model": 64, "n_layers": 2, "n_heads": 4, "n_kv_heads": 4, "mlp_hidden_size": 160, "mlp_ratio": 4},
        **{"vocab_size": 512, "embedding_size": 512, "max_sequence_length": 4096, "weight_tying": False},
        **{"alibi": False, "rope": True, "rope_full_precision": True, "rope_theta": 500000.0, "rms_norm_eps": 1e-5},
        **{"attention_layer_norm": False, "include_bias": False, "include_qkv_bias": False, "scale_logits": False},
        **{"input_emb_norm": False, "init_device": "meta", "layer_norm_with_affine": True, "flash_attention": False},
        **{"mask_token_id": ids["<|mdm_mask|>"], "eos_token_id": ids["<|endoftext|>"]},
        **{"pad_token_id": ids["<|endoftext|>"], "use_cache": False, "transformers_version": "4.46.3"},
        **(sizes or {}),
    }
    width, mlp = config["d_model"], config["mlp_hidden_size"]
    narrow = width // config["n_heads"] * config["n_kv_heads"]
    shapes = {"wte": (config["embedding_size"], width), "ln_f": (width,), "ff_out": (config["embedding_size"], width)}
    for i in range(config["n_layers"]):
        block = {"attn_norm": (width,), "ff_norm": (width,), "q_proj": (width, width), "attn_out": (width, width)}
        block |= {"k_proj": (narrow, width), "v_proj": (narrow, width)}
        block |= {"ff_proj": (mlp, width), "up_proj": (mlp, width), "ff_out": (width, mlp)}
        shapes |= {f"blocks.{i}.{name}": shape for name, shape in block.items()}
    weights = random_weights({f"model.transformer.{name}.weight": shape for name, shape in shapes.items()}, seed)
    write_checkpoint(folder, config, weights, shards)
    words.add_special_tokens(LLADA_SPECIAL)
    words.save(str(folder / "tokenizer.json"))
    _write_json(
        folder / "tokenizer_config.json",
        tokenizer_class="PreTrainedTokenizerFast",
        add_bos_token=False,
        added_tokens_decoder=_added(ids),
        bos_token="<|startoftext|>",
        eos_token="<|endoftext|>",
        pad_token="<|endoftext|>",
        chat_template=LLADA_TEMPLATE,
        clean_up_tokenization_spaces=False,
    )
    return folder


def write_dream(folder: Path, seed: int = 0, sizes: Mapping[str, Any] | None = None, shards: int = 3) -> Path:
    """A Dream checkpoint of two layers, 64 wide, with two heads for keys and values."""
    words = _bpe()
    ids = {token: len(words.get_vocab()) + i for i, token in enumerate(DREAM_SPECIAL)}
    config = {
        "architectures": ["DreamModel"],
        "auto_map": {"AutoModel": "modeling_dream.DreamModel"},
        "model_type": "Dream",
        **{"hidden_size": 64, "intermediate_size": 160, "num_hidden_layers": 2, "num_attention_heads": 4},
        **{"num_key_value_heads": 2, "vocab_size": 512, "max_position_embeddings": 131072, "hidden_act": "silu"},
        **{"rms_norm_eps": 1e-6, "rope_theta": 1000000.0, "rope_scaling": None, "tie_word_embeddings": False},
        **{"sliding_window": None, "use_sliding_window": False, "max_window_layers": 28, "attention_dropout": 0.0},
        **{
            "mask_token_id": ids["<|mask|>"],
            "pad_token_id": ids["<|endoftext|>"],
            "bos_token_id": ids["<|endoftext|>"],
        },
        **{"eos_token_id": ids["<|endoftext|>"], "torch_dtype": "bfloat16", "use_cache": True},
        **(sizes or {}),
    }
    width, mlp, vocabulary = config["hidden_size"], config["intermediate_size"], config["vocab_size"]
    narrow = width // config["num_attention_heads"] * config["num_key_value_heads"]
    shapes: dict[str, tuple[int, ...]] = {"model.embed_tokens.weight": (vocabulary, width)}
    shapes |= {"model.norm.weight": (width,), "lm_head.weight": (vocabulary, width)}
    for i in range(config["num_hidden_layers"]):
        layer = {"input_layernorm.weight": (width,), "post_attention_layernorm.weight": (width,)}
        for part, rows in (("q", width), ("k", narrow), ("v", narrow)):
            layer |= {f"self_attn.{part}_proj.weight": (rows, width), f"self_attn.{part}_proj.bias": (rows,)}
        layer |= {"self_attn.o_proj.weight": (width, width), "mlp.gate_proj.weight": (mlp, width)}
        layer |= {"mlp.up_proj.weight": (mlp, width), "mlp.down_proj.weight": (width, mlp)}
        shapes |= {f"model.layers.{i}.{name}": shape for name, shape in layer.items()}
    write_checkpoint(folder, config, random_weights(shapes, seed), shards)
    words.model.save(str(folder))  # vocab.json and merges.txt, as the release has them
    _write_json(folder / "added_tokens.json", **ids)
    _write_json(
        folder / "tokenizer_config.json",
        tokenizer_class="DreamTokenizer",
        auto_map={"AutoTokenizer": ["tokenization_dream.DreamTokenizer", None]},
        added_tokens_decoder=_added(ids),
        bos_token="<|beginoftext|>",
        eos_token="<|endoftext|>",
        mask_token="<|mask|>",
        pad_token="<|endoftext|>",
        unk_token=None,
        chat_template=CHATML_TEMPLATE,
        clean_up_tokenization_spaces=False,
        errors="replace",
    )
    return folder


def write_llada_moe(folder: Path, seed: int = 0, sizes: Mapping[str, Any] | None = None, shards: int = 3) -> Path:
    """A LLaDA-MoE checkpoint of two layers, 64 wide, with six experts of which a token passes through two."""
    words = _bpe()
    special = ["<|startoftext|>", "<|endoftext|>", "<role>", "</role>", "<|role_end|>", "<|mask|>"]
    ids = {token: len(words.get_vocab()) + i for i, token in enumerate(special)}
    config = {
        "architectures": ["LLaDAMoEModelLM"],
        "auto_map": {"AutoModel": "modeling_lladamoe.LLaDAMoEModelLM"},
        "model_type": "lladamoe",
        **{"hidden_size": 64, "num_hidden_layers": 2, "num_attention_heads": 4, "num_key_value_heads": 4},
        **{"dense_intermediate_size": 256, "expert_intermediate_size": 48, "shared_expert_intermediate_size": None},
        **{"num_experts": 6, "num_experts_per_tok": 2, "moe_layer_freq": [1, 1], "norm_topk_prob": None},
        **{"moe_router_enable_expert_bias": False, "moe_router_score_function": "softmax", "qk_layernorm": True},
        **{"vocab_size": 512, "max_position_embeddings": 8192, "rope_theta": 50000, "partial_rotary_factor": 1.0},
        **{"rms_norm_eps": 1e-5, "hidden_act": "silu", "attention_bias": False, "clip_qkv": None, "rope_scaling": None},
        **{"tie_word_embeddings": False, "eos_token_id": ids["<|endoftext|>"], "pad_token_id": ids["<|endoftext|>"]},
        **(sizes or {}),
    }
    width, mlp, vocabulary = config["hidden_size"], config["expert_intermediate_size"], config["vocab_size"]
    size = width // config["num_attention_heads"]
    shapes: dict[str, tuple[int, ...]] = {"model.embed_tokens.weight": (vocabulary, width)}
    shapes |= {"model.norm.weight": (width,), "lm_head.weight": (vocabulary, width)}
    for i in range(config["num_hidden_layers"]):
        layer: dict[str, tuple[int, ...]] = {"input_layernorm": (width,), "post_attention_layernorm": (width,)}
        layer |= {f"self_attn.{part}_proj": (width, width) for part in "qkvo"}
        layer |= {"self_attn.q_norm": (size,), "self_attn.k_norm": (size,), "mlp.gate": (config["num_experts"], width)}
        for j in range(config["num_experts"]):
            layer |= {f"mlp.experts.{j}.{part}_proj": (mlp, width) for part in ("gate", "up")}
            layer[f"mlp.experts.{j}.down_proj"] = (width, mlp)
        shapes |= {f"model.layers.{i}.{name}.weight": shape for name, shape in layer.items()}
    write_checkpoint(folder, config, random_weights(shapes, seed), shards)
    words.add_special_tokens(special)
    words.save(str(folder / "tokenizer.json"))
    _write_json(
        folder / "tokenizer_config.json",
        tokenizer_class="PreTrainedTokenizerFast",
        added_tokens_decoder=_added(ids),
        bos_token="<|startoftext|>",
        eos_token="<|endoftext|>",
        pad_token="<|endoftext|>",
        chat_template="{% for message in messages %}{{ '<role>' + message['role'] | upper + '</role>' + "
        "message['content'] + '<|role_end|>' }}{% endfor %}{{ '<role>ASSISTANT</role>' }}",
        clean_up_tokenization_spaces=False,
    )
    return folder


def write_mdlm(folder: Path, seed: int = 0, sizes: Mapping[str, Any] | None = None) -> Path:
    """An MDLM checkpoint of two layers, 64 wide, in one file, with a tokenizer of the kind of GPT-2's. The mask is the
    one token more than the tokenizer has."""
    words = _bpe()
    words.add_special_tokens(["<|endoftext|>"])
    config = {
        "architectures": ["MDLM"],
        "auto_map": {"AutoModelForMaskedLM": "modeling_mdlm.MDLM"},
        "model_type": "mdlm",
        **{"hidden_dim": 64, "cond_dim": 16, "n_blocks": 2, "n_heads": 4, "model_length": 64, "dropout": 0.1},
        **{"vocab_size": len(words.get_vocab()) + 1, "time_conditioning": False, "return_dict": False},
        **(sizes or {}),
    }
    width, condition, vocabulary = config["hidden_dim"], config["cond_dim"], config["vocab_size"]
    pairs = {"sigma_map.mlp.0": (condition, 256), "sigma_map.mlp.2": (condition, condition)}
    pairs |= {"output_layer.linear": (vocabulary, width), "output_layer.adaLN_modulation": (2 * width, condition)}
    shapes: dict[str, tuple[int, ...]] = {"vocab_embed.embedding": (vocabulary, width)}
    shapes |= {"output_layer.norm_final.weight": (width,), "rotary_emb.inv_freq": (width // config["n_heads"] // 2,)}
    for i in range(config["n_blocks"]):
        block: dict[str, tuple[int, ...]] = {"norm1.weight": (width,), "norm2.weight": (width,)}
        block |= {"attn_qkv.weight": (3 * width, width), "attn_out.weight": (width, width)}
        shapes |= {f"blocks.{i}.{name}": shape for name, shape in block.items()}
        pairs |= {f"blocks.{i}.mlp.0": (4 * width, width), f"blocks.{i}.mlp.2": (width, 4 * width)}
        pairs[f"blocks.{i}.adaLN_modulation"] = (6 * width, condition)
    for name, shape in pairs.items():
        shapes |= {f"{name}.weight": shape, f"{name}.bias": shape[:1]}
    weights = random_weights({f"backbone.{name}": shape for name, shape in shapes.items()}, seed)
    size = width // config["n_heads"]
    weights["backbone.rotary_emb.inv_freq"] = 1.0 / 10_000 ** (torch.arange(0, size, 2).float() / size)
    write_checkpoint(folder, config, weights, shards=1)
    words.save(str(folder / "tokenizer.json"))
    _write_json(
        folder / "tokenizer_config.json",
        tokenizer_class="PreTrainedTokenizerFast",
        **dict.fromkeys(("bos_token", "eos_token", "unk_token"), "<|endoftext|>"),
        clean_up_tokenization_spaces=False,
    )
    return folder


def random_weights(shapes: Mapping[str, tuple[int, ...]], seed: int) -> dict[str, Tensor]:
    """Weights that make sharp and varied predictions: norms near 1, all else of a variance that the layers keep."""
    generator = torch.Generator().manual_seed(seed)
    weights = {}
    for name, shape in shapes.items():
        values = torch.randn(shape, generator=generator)
        if len(shape) == 1:
            weights[name] = 0.2 * values if name.endswith("bias") else 1 + 0.2 * values
        else:
            weights[name] = values * (1.0 if "wte" in name or "embed" in name else 1.5 * shape[1] ** -0.5)
    return weights


def write_checkpoint(folder: Path, config: Mapping[str, Any], weights: Mapping[str, Tensor], shards: int) -> None:
    """`config.json`, and the weights in so many files with an index; one file needs none."""
    folder.mkdir(parents=True, exist_ok=True)
    _write_json(folder / "config.json", **config)
    if shards == 1:
        save_file(dict(weights), folder / "model.safetensors", {"format": "pt"})
        return
    names = [f"model-{i + 1:05d}-of-{shards:05d}.safetensors" for i in range(shards)]
    weight_map = {key: names[i * shards // len(weights)] for i, key in enumerate(weights)}
    for name in names:
        held = {key: weights[key] for key, file in weight_map.items() if file == name}
        save_file(held, folder / name, {"format": "pt"})
    size = sum(tensor.numel() * tensor.element_size() for tensor in weights.values())
    _write_json(folder / "model.safetensors.index.json", metadata={"total_size": size}, weight_map=weight_map)


def _bpe() -> Tokenizer:
    """A byte-level vocabulary: 256 bytes and some merges learnt on `TEXT`."""
    words = Tokenizer(models.BPE())
    words.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    words.decoder = decoders.ByteLevel()
    alphabet: Sequence[str] = sorted(pre_tokenizers.ByteLevel.alphabet())
    words.train_from_iterator(
        [TEXT], trainers.BpeTrainer(vocab_size=300, initial_alphabet=list(alphabet), show_progress=False)
    )
    return words


def _added(ids: Mapping[str, int]) -> dict[str, dict[str, Any]]:
    plain = {"lstrip": False, "normalized": False, "rstrip": False, "single_word": False, "special": True}
    return {str(number): {"content": token, **plain} for token, number in ids.items()}


def _write_json(path: Path, **content: Any) -> None:
    path.write_text(json.dumps(content, indent=2), encoding="utf-8")
