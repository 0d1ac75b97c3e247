"""A known joint as a masked diffusion model: its logits are the exact conditionals."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor
from torch.nn.functional import pad

from harness.errors import UserError
from harness.models.base import Inputs, Row
from harness.models.exact.joint import Joint
from harness.task import Output, Request


class ExactDenoiser:
    """A perfect denoiser for `joint`. The mask id is V, the token after the joint's last; its logit is −inf.

    leave_one_out  a visible position is predicted from the other visible tokens; False: from itself, so one-hot
    """

    def __init__(self, joint: Joint, leave_one_out: bool) -> None:
        self.joint = joint
        self.leave_one_out = leave_one_out
        self.vocab_size = joint.vocab + 1
        self.mask_id = joint.vocab
        self.eos_ids: frozenset[int] = frozenset()
        self.capabilities = frozenset({"likelihood"})
        self.length_bucket = 1
        self.device = joint.device

    def encode(self, request: Request) -> Row:
        """All positions masked and editable, or the tokens of a continuation such as `3 0 2`; raises UserError for a
        prompt, a condition or another length."""
        length = self.joint.length
        if request.prompt is not None or request.condition:
            raise UserError(f"document {request.document!r}: an exact model takes neither a prompt nor a condition.")
        if request.length not in (None, length):
            raise UserError(
                f"document {request.document!r}: length={request.length}, but this exact model has sequences of "
                f"{length} tokens; set the size in the model's arguments."
            )
        tokens = (self.mask_id,) * length if request.continuation is None else self._given(request.continuation)
        return Row(tokens, editable=(True,) * length)

    def _given(self, text: str) -> tuple[int, ...]:
        words = text.split()
        tokens = tuple(int(word) for word in words if word.isdecimal() and int(word) < self.joint.vocab)
        if len(tokens) != len(words) or len(tokens) != self.joint.length:
            raise UserError(
                f"{text!r} is not {self.joint.length} tokens from 0 to {self.joint.vocab - 1} with blanks between."
            )
        return tokens

    def decode(self, tokens: Sequence[int]) -> Output:
        """The tokens themselves."""
        return Output(tokens=tuple(tokens))

    def logits(self, inputs: Inputs, index: Tensor) -> tuple[Tensor, Mapping[str, Tensor]]:
        """(N, V + 1) float64 log-probabilities at the flat positions `index` (N,).

        Positions that are not attended to (`valid` False) or missing count as masked, and are summed out.
        """
        width, length = inputs.tokens.shape[1], self.joint.length
        row, position = index // width, index % width
        hidden = (inputs.tokens == self.mask_id) | ~inputs.valid
        # A negative pad crops: rows may be longer (padding) or shorter than the joint's sequences.
        tokens = pad(inputs.tokens, (0, length - width), value=self.mask_id)
        masked = pad(hidden, (0, length - width), value=True)
        logp = self.joint.conditionals(tokens, masked)[row, position]
        logp = pad(logp, (0, 1), value=float("-inf"))
        if not self.leave_one_out:
            token = tokens[row, position]
            one_hot = torch.zeros_like(logp).masked_fill_(
                token[:, None] != torch.arange(self.vocab_size, device=logp.device), float("-inf")
            )
            logp = torch.where((token == self.mask_id)[:, None], logp, one_hot)
        return logp, {}

    def unconditional(self, inputs: Inputs) -> Inputs:
        """Always raises UserError: there is no condition to drop."""
        raise UserError("an exact model has no condition, so guidance must be 0.")

    def flops(self, tokens: Tensor, predicted: Tensor) -> Tensor | None:
        """None: there is no network."""
        return None
