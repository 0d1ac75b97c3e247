"""The network of the built-in multimodal model: words, patches of pictures and cells of puzzles in one canvas."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from harness.miniworld import layout
from harness.miniworld.scenes import CODES
from harness.miniworld.vocabulary import FIRST_CODE, VOCABULARY, patch_names
from harness.models.start import Change, unchanged
from harness.models.transformer import Block, TransformerConfig, as_bias, initialise


@dataclass(frozen=True)
class MiniConfig:
    """Sizes of a `MiniTransformer`.

    width, depth, heads
    vocabulary  tokens that it predicts, 0 … vocabulary − 1; it reads one more, the mask id `vocabulary`
    """

    width: int
    depth: int
    heads: int
    vocabulary: int = VOCABULARY

    @property
    def mask_id(self) -> int:
        return self.vocabulary


class MiniTransformer(nn.Module):
    """A bidirectional transformer that knows a token's place by its position id alone.

    A position has an embedding of its own and one for each row, column or block that it belongs to. A quarter of the
    components of queries and keys are turned by row and a quarter by column, as in Qwen2-VL (Wang et al. 2024); by the
    others, a word finds a patch wherever both are. The embedding of a patch is that of the word for its shape, of the
    word for its colour, and of its quadrant, beside one of its own: what is learnt of a colour holds for all patches.
    """

    angles: Tensor
    groups: Tensor
    barred: Tensor
    names: Tensor

    def __init__(self, config: MiniConfig) -> None:
        super().__init__()
        self.config = config
        places, groups = layout.coordinates()
        # From a radian a step to about a hundredth of it.
        count = config.width // config.heads // 8
        frequency = 100.0 ** -(torch.arange(count) / count)
        angles = (torch.from_numpy(places)[:, :, None] * frequency).flatten(1)
        self.register_buffer("angles", angles, persistent=False)
        self.register_buffer("groups", torch.from_numpy(groups), persistent=False)
        self.register_buffer("barred", ~torch.from_numpy(layout.windows()), persistent=False)
        self.register_buffer("names", torch.tensor(patch_names()), persistent=False)
        self.token = nn.Embedding(config.vocabulary + 1, config.width)
        self.quadrant = nn.Embedding(4, config.width)
        self.position = nn.Embedding(layout.POSITIONS, config.width)
        self.group = nn.Embedding(int(groups.max()), config.width)
        block = TransformerConfig(config.vocabulary, layout.POSITIONS, 0, config.width, config.depth, config.heads)
        self.blocks = nn.ModuleList(Block(block) for _ in range(config.depth))
        self.norm = nn.LayerNorm(config.width)
        self.head = nn.Linear(config.width, config.vocabulary, bias=False)
        initialise(self, config.depth)
        nn.init.normal_(self.group.weight, std=0.3)
        nn.init.zeros_(self.token.weight[FIRST_CODE : FIRST_CODE + CODES])

    def hidden(
        self,
        tokens: Tensor,
        positions: Tensor,
        valid: Tensor,
        attention_bias: Tensor | None = None,
        maps: list[Tensor] | None = None,
        change: Change = unchanged,
    ) -> Tensor:
        """(B, L, width) features.

        tokens     (B, L) int64, `mask_id` where unknown
        positions  (B, L) int64 position ids of `harness.miniworld.layout`
        valid      (B, L) bool, False = padding, which no position attends to
        attention_bias  (B, L, L), added to the attention scores of every layer
        maps       receives each layer's attention (B, L, L), averaged over heads
        change     of the tokens' embeddings (B, L, width)
        """
        # Group 0 is none.
        groups = F.embedding_bag(self.groups, F.pad(self.group.weight, (0, 0, 1, 0)), mode="sum", padding_idx=0)
        places = self.position.weight + groups
        x = change(F.embedding(tokens, self._embeddings())) + F.embedding(positions, places)
        angles = self.angles[positions][:, None]
        rotation = angles.cos(), angles.sin()
        # The mask is passed even when all is valid: another kernel would round a row by what its neighbours are.
        attended = valid[:, None, None, :]
        if attention_bias is not None:
            attended = attention_bias[:, None].to(x.dtype) + as_bias(attended)
        for block in self.blocks:
            x = block(x, attended, maps, rotation)
        features: Tensor = self.norm(x)
        return features

    def _embeddings(self) -> Tensor:
        """(vocabulary + 1, width)."""
        patches = self.token.weight[self.names].sum(dim=1).view(-1, 4, self.config.width) + self.quadrant.weight
        # Code 0 is the empty patch, and the mask comes last.
        return self.token.weight + F.pad(patches.flatten(0, 1), (0, 0, FIRST_CODE + 1, 1))

    def forward(self, tokens: Tensor, positions: Tensor, valid: Tensor) -> Tensor:
        """(B, L, vocabulary) logits everywhere, for training."""
        return self.logits(self.hidden(tokens, positions, valid), positions)

    def logits(self, features: Tensor, positions: Tensor) -> Tensor:
        """(…, vocabulary) logits from features (…, width) at position ids (…); −inf at what cannot stand there."""
        logits: Tensor = self.head(features)
        return logits.masked_fill(self.barred[positions], float("-inf"))


def forward_flops(config: MiniConfig, tokens: Tensor) -> Tensor:
    """(B,) float64: FLOPs of one forward over `tokens` (B,) tokens; a multiply-add is two, matrix products only."""
    length = tokens.double()
    block = 2 * 12 * config.width**2 * length + 4 * config.width * length**2
    return config.depth * block + 2 * config.width * config.vocabulary * length
