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


class _Layers(torch.nn.Module):
    """A convolution or two in place of Inception's many, with as many features."""

    def __init__(self) -> None:
        super().__init__()
        self.see = torch.nn.Conv2d(3, 24, 9, stride=8)
        self.widen = torch.nn.Linear(24, 2048)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return torch.relu(self.widen(torch.relu(self.see(x)).mean((2, 3))))[:, :, None, None]


class _Inception(torch.nn.Module):
    """What clean-fid takes of NVIDIA's file: `layers`, and the whole with its resize and its flags."""

    def __init__(self, layers: torch.nn.Module) -> None:
        super().__init__()
        self.layers = layers
        self.output = torch.nn.Linear(2048, 1008)

    def forward(
        self, x: torch.Tensor, return_features: bool = False, use_fp16: bool = False, no_output_bias: bool = False
    ) -> torch.Tensor:
        x = torch.nn.functional.interpolate(x, size=[299, 299], mode="bilinear", align_corners=False)
        features = self.layers((x - 128) / 128).flatten(1)
        if return_features:
            return features
        logits = features @ self.output.weight.t()
        return torch.softmax(logits if no_output_bias else logits + self.output.bias, dim=1)


def write_inception(folder: Path, layers: torch.nn.Module | None = None) -> Path:
    """NVIDIA's form of the network, by its name; `layers` from pixels (N, 3, 299, 299) to (N, 2048, 1, 1)."""
    folder.mkdir(parents=True, exist_ok=True)
    with torch.random.fork_rng(devices=()):
        torch.manual_seed(0)
        network = _Inception(layers or _Layers()).eval()
        torch.jit.script(network).save(str(folder / "inception-2015-12-05.pt"))
    return folder


def write_pytorch_fid(folder: Path) -> Path:
    """pytorch-fid's weights, by their name: all of Inception, at random."""
    from cleanfid import inception_pytorch

    folder.mkdir(parents=True, exist_ok=True)
    original = inception_pytorch.load_state_dict_from_url
    with torch.random.fork_rng(devices=()):
        torch.manual_seed(0)
        made = {}

        class Taken(Exception):
            """What is built up to the loading is all that is needed."""

        def take(*_: object, **__: object) -> None:
            raise Taken

        inception_pytorch.load_state_dict_from_url = take
        build = inception_pytorch._inception_v3

        def keep(*arguments: object, **settings: object) -> torch.nn.Module:
            made["network"] = build(*arguments, **settings)
            return made["network"]

        inception_pytorch._inception_v3 = keep
        try:
            inception_pytorch.fid_inception_v3()
        except Taken:
            pass
        finally:
            inception_pytorch.load_state_dict_from_url, inception_pytorch._inception_v3 = original, build
    torch.save(made["network"].state_dict(), folder / "pt_inception-2015-12-05-6726825d.pth")
    return folder


def write_dinov2(folder: Path) -> Path:
    """DINOv2 of one layer, with patches of 14 pixels as the real one."""
    from transformers import Dinov2Config, Dinov2Model

    with torch.random.fork_rng(devices=()):
        torch.manual_seed(0)
        size = {"hidden_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2, "image_size": 70, "patch_size": 14}
        Dinov2Model(Dinov2Config(**size)).save_pretrained(folder)
    return folder
