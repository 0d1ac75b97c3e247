"""Tiny checkpoints of image models in the layout of the released ones, with weights that a formula gives: the released
code ran on the same ones, and `models/image/official.json` has the names and shapes of its tensors and what it made."""

from __future__ import annotations

import json
import math
import zlib
from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save_file
from torch import Tensor


@cache
def official() -> dict[str, Any]:
    return json.loads((Path(__file__).parent / "models/image/official.json").read_text())


def tensors(model: str) -> dict[str, Tensor]:
    """All weights of `model`, by the released names."""
    found = {name: formula(name, shape) for name, shape in official()[model]["shapes"].items()}
    if "head.weight" in found:
        found["head.weight"] = found["tok_emb.weight"]
    return found


def formula(name: str, shape: Sequence[int]) -> Tensor:
    size, turn = math.prod(shape), zlib.crc32(name.encode()) % 1000 / 1000
    place = torch.arange(size, dtype=torch.float64)
    value = torch.sin(place * (1.3 + turn) + 12.9898 * torch.sin(place * 0.37 + 7 * turn))
    if len(shape) == 1:
        value = 1 + 0.2 * value if name.endswith("weight") else 0.1 * value
    else:
        value = value * (2 / (shape[-1] if len(shape) == 3 else math.prod(shape[1:]))) ** 0.5
    return value.float().view(*shape)


class Callback:
    """What old releases keep beside their weights."""


def write(folder: Path) -> Path:
    """The files of Halton-MaskGIT, of MaskGIT in PyTorch with its student, and of both codecs."""
    folder.mkdir(exist_ok=True)
    halton = {f"module.{name}": tensor for name, tensor in tensors("halton_maskgit").items()}
    torch.save({"model_state_dict": halton, "iter": 5, "global_epoch": 1}, folder / "halton.pth")
    torch.save({"model_state_dict": tensors("maskgit_pytorch"), "iter": 5}, folder / "maskgit.pth")
    torch.save(tensors("maskgit_pytorch"), folder / "student.bin")
    used = {"quantize.codebook_used": torch.zeros(65536)}
    torch.save({"model": tensors("llamagen") | used, "optimizer": {}}, folder / "llamagen.pt")
    training = {"callbacks": {Callback: {"best": Callback()}}, "epoch": 3}
    loss = {"loss.discriminator.main.0.weight": torch.zeros(3)}
    torch.save({"state_dict": tensors("taming") | loss, **training}, folder / "taming.ckpt")
    return folder


def halton_arguments(folder: Path) -> dict[str, Any]:
    return {"pretrained": f"{folder}/halton.pth", "codec": f"{folder}/llamagen.pt", "heads": 5}


def maskgit_arguments(folder: Path, file: str = "maskgit.pth") -> dict[str, Any]:
    return {"pretrained": f"{folder}/{file}", "codec": f"{folder}/taming.ckpt", "heads": 4}


def write_meissonic(root: Path) -> Path:
    """A folder of Meissonic: the transformer by the formula, and a tiny codec, text encoder and tokenizer."""
    from diffusers import VQModel
    from transformers import CLIPTextConfig, CLIPTextModelWithProjection, CLIPTokenizer

    (root / "transformer").mkdir(parents=True)
    (root / "transformer/config.json").write_text(json.dumps(official()["meissonic"]["config"]))
    save_file(tensors("meissonic"), root / "transformer/diffusion_pytorch_model.safetensors")
    with torch.random.fork_rng(devices=()):
        torch.manual_seed(0)
        VQModel(
            block_out_channels=[32, 32],
            down_block_types=["DownEncoderBlock2D"] * 2,
            up_block_types=["UpDecoderBlock2D"] * 2,
            latent_channels=8,
            num_vq_embeddings=40,
            lookup_from_codebook=True,
        ).save_pretrained(root / "vqvae")
        sizes = {"hidden_size": 24, "intermediate_size": 48, "num_hidden_layers": 2, "num_attention_heads": 2}
        text = CLIPTextConfig(**sizes, projection_dim=32, vocab_size=300, eos_token_id=1, bos_token_id=0)
        CLIPTextModelWithProjection(text).save_pretrained(root / "text_encoder")
    (root / "tokenizer").mkdir()
    letters = [*"abcdefghijklmnopqrstuvwxyz", *(f"{letter}</w>" for letter in "abcdefghijklmnopqrstuvwxyz")]
    words = {word: i for i, word in enumerate(["<|startoftext|>", "<|endoftext|>", *letters])}
    (root / "tokenizer/vocab.json").write_text(json.dumps(words))
    (root / "tokenizer/merges.txt").write_text("#version: 0.2\n")
    CLIPTokenizer(str(root / "tokenizer/vocab.json"), str(root / "tokenizer/merges.txt")).save_pretrained(
        root / "tokenizer"
    )
    return root
