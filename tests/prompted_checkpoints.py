"""Tiny random checkpoints of models that draw from prompts, in the layout of the published ones: MMaDA with MAGVIT-v2,
Lumina-DiMOO with aMUSEd's codec. Vocabularies and special tokens have the published numbers; no name of a tensor comes
from the harness."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from checkpoints import LLADA_TEMPLATE, TEXT, random_weights, write_checkpoint
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers

MMADA_VOCABULARY, LUMINA_VOCABULARY = 134656, 134548
_NAMED = {
    **{126080: "<|startoftext|>", 126081: "<|endoftext|>", 126336: "<|mdm_mask|>"},
    **{126346: "<|start_header_id|>", 126347: "<|end_header_id|>", 126348: "<|eot_id|>"},
}
_LUMINA = {126349: "<IMAGE>", 126350: "</IMAGE>", 126351: "<uncondition>", 126354: "<answer>", 126355: "</answer>"}


def write_mmada(folder: Path, seed: int = 0, sizes: Mapping[str, Any] | None = None) -> Path:
    """MMaDA of two layers, 16 wide."""
    config = {"model_type": "mmada", "architectures": ["MMadaModelLM"], "new_vocab_size": MMADA_VOCABULARY}
    config |= {"llm_vocab_size": 126464, "codebook_size": 8192, "num_vq_tokens": 1024}
    return _write_trunk(folder, config, MMADA_VOCABULARY, seed, 126349, {}, sizes)


def write_lumina(folder: Path, seed: int = 0, sizes: Mapping[str, Any] | None = None) -> Path:
    """Lumina-DiMOO of two layers, 16 wide, with its codec in the folder `vqvae`."""
    config = {"model_type": "llada", "architectures": ["LLaDAForMultiModalGeneration"]}
    _write_trunk(folder, config, LUMINA_VOCABULARY, seed, 126356, _LUMINA, sizes)
    write_vq(folder / "vqvae", seed)
    return folder


def write_magvit(folder: Path, seed: int = 0, width: int = 32) -> Path:
    """MAGVIT-v2 with all its blocks, a quarter as wide as the published one, as a pickle of weights alone."""
    shapes: dict[str, tuple[int, ...]] = {}

    def conv(name: str, out: int, inside: int, kernel: int = 3) -> None:
        shapes[f"{name}.weight"], shapes[f"{name}.bias"] = (out, inside, kernel, kernel), (out,)

    def norm(name: str, size: int) -> None:
        shapes[f"{name}.weight"], shapes[f"{name}.bias"] = (size,), (size,)

    def resnet(name: str, inside: int, out: int) -> None:
        norm(f"{name}.norm1", inside)
        conv(f"{name}.conv1", out, inside)
        norm(f"{name}.norm2", out)
        conv(f"{name}.conv2", out, out)
        if inside != out:
            conv(f"{name}.nin_shortcut", out, inside, 1)

    def middle(name: str, size: int) -> None:
        resnet(f"{name}.block_1", size, size)
        norm(f"{name}.attn_1.norm", size)
        for part in ("q", "k", "v", "proj_out"):
            conv(f"{name}.attn_1.{part}", size, size, 1)
        resnet(f"{name}.block_2", size, size)

    conv("encoder.conv_in", width, 3)
    inside = width
    for level, (multiple, blocks) in enumerate(zip((1, 2, 2, 4, 4), (4, 3, 4, 3, 4), strict=True)):
        for block in range(blocks):
            resnet(f"encoder.down.{level}.block.{block}", inside, width * multiple)
            inside = width * multiple
        if level < 4:
            conv(f"encoder.down.{level}.downsample.conv", inside, inside)
    middle("encoder.mid", inside)
    norm("encoder.norm_out", inside)
    conv("encoder.conv_out", 13, inside)
    conv("encoder.quant_conv", 13, 13, 1)
    conv("decoder.post_quant_conv", 13, 13, 1)
    conv("decoder.conv_in", inside, 13)
    middle("decoder.mid", inside)
    for level, (multiple, blocks) in reversed(list(enumerate(zip((1, 1, 2, 2, 4), (4, 4, 3, 4, 3), strict=True)))):
        for block in range(blocks):
            resnet(f"decoder.up.{level}.block.{block}", inside, width * multiple)
            inside = width * multiple
        if level > 0:
            conv(f"decoder.up.{level}.upsample.conv", inside, inside)
    norm("decoder.norm_out", inside)
    conv("decoder.conv_out", 3, inside)
    generator = torch.Generator().manual_seed(seed)
    weights = {}
    for name, shape in shapes.items():
        values = torch.randn(shape, generator=generator)
        scale = 0.2 if len(shape) == 1 else values[0].numel() ** -0.5
        weights[name] = values * scale + (1 if len(shape) == 1 and "norm" in name and name.endswith("weight") else 0)
    bits = torch.arange(8192)[:, None] >> torch.arange(12, -1, -1) & 1
    weights["quantize.embedding"], weights["quantize.power_vals"] = 2.0 * bits - 1, 2 ** torch.arange(12, -1, -1)
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "config.json").write_text(json.dumps({"_class_name": "MAGVITv2", "_version": "0.0.1"}))
    torch.save(weights, folder / "pytorch_model.bin")
    return folder


def write_vq(folder: Path, seed: int = 0) -> Path:
    """aMUSEd's codec, narrow, as diffusers itself saves it."""
    from diffusers import VQModel

    torch.manual_seed(seed)
    codec = VQModel(
        block_out_channels=[16, 16, 32, 32, 32],
        down_block_types=["DownEncoderBlock2D"] * 5,
        up_block_types=["UpDecoderBlock2D"] * 5,
        latent_channels=8,
        layers_per_block=1,
        norm_num_groups=8,
        num_vq_embeddings=8192,
        mid_block_add_attention=False,
        lookup_from_codebook=True,
    )
    with torch.no_grad():  # codes lie near 0 as they are made: all would be the same grey
        codec.quantize.embedding.weight.mul_(8192)
    codec.save_pretrained(folder)
    return folder


def _write_trunk(
    folder: Path,
    own: Mapping[str, Any],
    vocabulary: int,
    seed: int,
    words: int,
    named: Mapping[int, str],
    sizes: Mapping[str, Any] | None,
) -> Path:
    config = {
        **own,
        **{"activation_type": "silu", "block_type": "llama", "layer_norm_type": "rms", "block_group_size": 1},
        **{"d_model": 16, "n_layers": 2, "n_heads": 2, "n_kv_heads": 2, "mlp_hidden_size": 40, "mlp_ratio": 4},
        **{"vocab_size": vocabulary, "embedding_size": vocabulary, "max_sequence_length": 4096},
        **{"alibi": False, "rope": True, "rope_full_precision": True, "rope_theta": 500000.0, "rms_norm_eps": 1e-5},
        **{"attention_layer_norm": False, "include_bias": False, "include_qkv_bias": False, "scale_logits": False},
        **{"input_emb_norm": False, "weight_tying": False, "layer_norm_with_affine": True, "flash_attention": False},
        **{"mask_token_id": 126336, "eos_token_id": 126081, "pad_token_id": 126081, "init_device": "cpu"},
        **(sizes or {}),
    }
    width, mlp, rows = config["d_model"], config["mlp_hidden_size"], config["embedding_size"]
    shapes: dict[str, tuple[int, ...]] = {"wte": (rows, width), "ln_f": (width,), "ff_out": (rows, width)}
    for i in range(config["n_layers"]):
        block: dict[str, tuple[int, ...]] = {"attn_norm": (width,), "ff_norm": (width,), "ff_out": (width, mlp)}
        block |= dict.fromkeys(("q_proj", "k_proj", "v_proj", "attn_out"), (width, width))
        block |= {"ff_proj": (mlp, width), "up_proj": (mlp, width)}
        shapes |= {f"blocks.{i}.{name}": shape for name, shape in block.items()}
    weights = random_weights({f"model.transformer.{name}.weight": shape for name, shape in shapes.items()}, seed)
    write_checkpoint(folder, config, weights, shards=2)
    _write_words(folder, words, {**_NAMED, **named})
    return folder


def _write_words(folder: Path, count: int, named: Mapping[int, str]) -> None:
    """A tokenizer of `count` tokens: bytes and merges, words that no text has, and special tokens from 126080 on."""
    learnt = Tokenizer(models.BPE())
    learnt.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    trainer = trainers.BpeTrainer(vocab_size=300, initial_alphabet=alphabet, show_progress=False)
    learnt.train_from_iterator([TEXT], trainer)
    model = json.loads(learnt.to_str())["model"]
    vocabulary = {**model["vocab"], **{f"\x00{i}": i for i in range(len(model["vocab"]), 126080)}}
    words = Tokenizer(models.BPE(vocab=vocabulary, merges=[tuple(pair) for pair in model["merges"]]))
    words.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    words.decoder = decoders.ByteLevel()
    words.add_special_tokens([named.get(i, f"<|reserved_token_{i}|>") for i in range(126080, count)])
    words.save(str(folder / "tokenizer.json"))
    content = {"tokenizer_class": "PreTrainedTokenizerFast", "chat_template": LLADA_TEMPLATE}
    content |= {"bos_token": "<|startoftext|>", "eos_token": "<|endoftext|>", "pad_token": "<|endoftext|>"}
    (folder / "tokenizer_config.json").write_text(json.dumps(content))
