"""Tiny random checkpoints of the networks that look at pictures, in their real layouts, and a model that draws."""

from __future__ import annotations

from pathlib import Path

import torch
from tokenizers import Tokenizer, models, pre_tokenizers, processors, trainers

TEXT = ["a photo of a red bench and a blue-colored dog above two black cats"] * 4

DRAWER = '''
"""Noise of one of two sizes, by the prompt or the label."""

import numpy as np
import torch
from harness.models import ModelInfo, models
from harness.models.base import Row
from harness.task import Output


@models.register("drawer", ModelInfo("Pictures of four coloured quarters, whatever they are asked for", "image"))
def drawer(*, device: str = "cpu"):
    return Drawer()


class Drawer:
    mask_id, vocab_size, length_bucket = 8, 9, 1
    eos_ids, capabilities, device = frozenset(), frozenset(), torch.device("cpu")

    def encode(self, request):
        return Row([8] * 4, [True] * 4, grid=(2, 2))

    def decode(self, tokens):
        colours = np.array([[255 * (token >> bit & 1) for bit in range(3)] for token in tokens], dtype=np.uint8)
        return Output(tuple(tokens), image=colours.reshape(2, 2, 3).repeat(20, 0).repeat(24, 1))

    def logits(self, inputs, index):
        logits = torch.zeros(len(index), 9)
        logits[:, 8] = float("-inf")
        return logits, {}

    def flops(self, tokens, predicted):
        return tokens.double()
'''


def write_drawer(folder: Path) -> Path:
    """A folder for --include-path with the model `drawer`: pictures of 40 x 48 pixels from any request."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "drawer.py").write_text(DRAWER)
    return folder


def write_mask2former(folder: Path, queries: int = 12, sharpness: float = 1.0) -> Path:
    """Swin and Mask2Former for COCO's 80 classes; `sharpness` scales the class logits, so that some are sure."""
    from transformers import (
        Mask2FormerConfig,
        Mask2FormerForUniversalSegmentation,
        Mask2FormerImageProcessor,
        SwinConfig,
    )

    from harness.metrics.coco import CLASSES

    stages = [f"stage{number}" for number in (1, 2, 3, 4)]
    config = Mask2FormerConfig(
        backbone_config=SwinConfig(embed_dim=8, depths=[1] * 4, num_heads=[1] * 4, window_size=4, out_features=stages),
        feature_size=32,
        mask_feature_size=32,
        hidden_dim=32,
        encoder_feedforward_dim=16,
        encoder_layers=1,
        decoder_layers=2,
        num_attention_heads=2,
        dim_feedforward=16,
        num_queries=queries,
        id2label=dict(enumerate(CLASSES)),
    )
    with torch.random.fork_rng(devices=()):
        torch.manual_seed(0)
        network = Mask2FormerForUniversalSegmentation(config)
        with torch.no_grad():
            network.class_predictor.weight.mul_(sharpness)
    network.save_pretrained(folder)
    Mask2FormerImageProcessor(size={"height": 64, "width": 64}).save_pretrained(folder)
    return folder


def write_clip(folder: Path) -> Path:
    """CLIP with towers of one layer, pictures of 32 pixels and texts of at most 24 tokens."""
    from transformers import CLIPConfig, CLIPImageProcessor, CLIPModel, PreTrainedTokenizerFast

    words = Tokenizer(models.BPE())
    words.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    trainer = trainers.BpeTrainer(
        vocab_size=300, initial_alphabet=pre_tokenizers.ByteLevel.alphabet(), special_tokens=["<s>", "</s>"]
    )
    words.train_from_iterator(TEXT, trainer)
    words.post_processor = processors.TemplateProcessing("<s> $A </s>", special_tokens=[("<s>", 0), ("</s>", 1)])
    tokenizer = PreTrainedTokenizerFast(
        tokenizer_object=words, bos_token="<s>", eos_token="</s>", pad_token="</s>", model_max_length=24
    )
    tokenizer.save_pretrained(folder)
    size = {"hidden_size": 16, "intermediate_size": 32, "num_hidden_layers": 1, "num_attention_heads": 2}
    ids = {"bos_token_id": 0, "eos_token_id": 1, "pad_token_id": 1}
    config = CLIPConfig(
        text_config={**size, **ids, "vocab_size": len(tokenizer), "max_position_embeddings": 24},
        vision_config={**size, "image_size": 32, "patch_size": 8},
        projection_dim=12,
    )
    with torch.random.fork_rng(devices=()):
        torch.manual_seed(0)
        network = CLIPModel(config)
        with torch.no_grad():
            for parameter in network.parameters():
                parameter.mul_(4)  # so that pictures and texts differ
    network.save_pretrained(folder)
    CLIPImageProcessor(size={"shortest_edge": 32}, crop_size={"height": 32, "width": 32}).save_pretrained(folder)
    return folder
