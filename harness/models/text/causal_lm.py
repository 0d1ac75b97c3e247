"""`causal_lm`: an autoregressive language model, for the generator `autoregressive`."""

from __future__ import annotations

import inspect
from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from harness.errors import UserError
from harness.models.base import Row
from harness.models.text.checkpoint import Checkpoint, find_checkpoint
from harness.models.text.codec import TokenizerCodec
from harness.models.text.loading import dtype_of
from harness.models.text.own import load_codec, load_own
from harness.task import Output, Request


def causal_lm(
    *,
    pretrained: str,
    hub_revision: str = "",
    end_of_turn: str = "",
    chat: bool = False,
    dtype: str = "bfloat16",
    bucket: int = 32,
    trust_remote_code: bool = False,
    device: str = "cpu",
) -> CausalLM:
    """A causal language model of transformers; the arguments are those of `hf_masked`."""
    kind, checkpoint = dtype_of(dtype), find_checkpoint(pretrained, hub_revision)
    model = load_own(checkpoint, "AutoModelForCausalLM", kind, trust_remote_code).to(device)
    codec = load_codec(checkpoint, chat, False, trust_remote_code, model.config.vocab_size)
    return CausalLM(model, codec, _ends(checkpoint, codec, end_of_turn), bucket)


def revision(
    *, pretrained: str, hub_revision: str, chat: bool, dtype: str, trust_remote_code: bool, **_: object
) -> str:
    """The commit or the fingerprint of the weights; UserError for what is wrong with the checkpoint."""
    dtype_of(dtype)
    checkpoint = find_checkpoint(pretrained, hub_revision)
    load_codec(checkpoint, chat, False, trust_remote_code, checkpoint.config.get("vocab_size"))
    return checkpoint.revision


class CausalLM:
    """A causal language model behind the protocol `Network`.

    Its input is `tokens` (B, q) int64, the next ones of each row, at `positions` (B, q), below 0 where a row has none
    yet; `first` says that a batch begins. Its output is (B, V), the logits of what follows the last token. Between the
    calls of a batch it remembers keys and values.

    Where the request has stop texts, nothing but the end of text is possible after one of them.
    """

    capabilities = frozenset({"next_token"})

    def __init__(self, model: Any, codec: TokenizerCodec, eos_ids: frozenset[int], bucket: int) -> None:
        self.model, self.codec, self.eos_ids, self.length_bucket = model, codec, eos_ids, bucket
        self.mask_id = int(model.config.vocab_size)  # no token of the model's
        self.vocab_size = self.mask_id + 1
        self.device = torch.device(model.device)
        # transformers 5.24 renames the argument.
        known = inspect.signature(model.forward).parameters
        self._memory = "cache" if "cache" in known else "past_key_values"
        self._cache: Any = None
        self._seen = torch.empty(0)
        self._stops: list[tuple[str, ...]] = [()]
        self._written: list[list[int]] = []

    def encode(self, request: Request) -> Row:
        """The prompt's tokens, at least one, and as many masks as the request's length."""
        where = f"document {request.document!r}"
        if request.image is not None or request.condition or request.length is None:
            raise UserError(f"{where}: a language model takes a prompt and a length, no picture and no label.")
        prompt, _ = self.codec.encode(request)
        prompt = (
            prompt or [token for token in (self.codec.tokenizer.bos_token_id, *self.eos_ids) if token is not None][:1]
        )
        longest = getattr(self.model.config, "max_position_embeddings", None)
        if longest is not None and len(prompt) + request.length > longest:
            raise UserError(
                f"{where}: the prompt's {len(prompt)} tokens and the answer's {request.length} are more than the "
                f"{longest} that the model takes. Ask for fewer."
            )
        if request.until not in self._stops:
            self._stops.append(request.until)
        tokens = (*prompt, *[self.mask_id] * request.length)
        editable = (*[False] * len(prompt), *[True] * request.length)
        return Row(tokens, editable, {"stops": self._stops.index(request.until)})

    def decode(self, tokens: Sequence[int]) -> Output:
        """The text of the tokens."""
        return Output(tuple(tokens), text=self.codec.decode(tokens))

    def network(self, condition: Mapping[str, Tensor], inputs: Mapping[str, Tensor]) -> Tensor:
        """One forward; see the class."""
        tokens, positions = inputs["tokens"], inputs["positions"]
        begins = bool(inputs["first"].all())
        if begins:
            self._cache, self._seen = None, positions.new_zeros(len(tokens), 0, dtype=torch.bool)
            self._written = [[] for _ in tokens]
        self._seen = torch.cat([self._seen, positions >= 0], dim=1)
        output = self.model(
            tokens,
            attention_mask=self._seen.long(),
            position_ids=positions.clamp(min=0),
            use_cache=True,
            logits_to_keep=1,
            **{self._memory: self._cache},
        )
        self._cache = output[self._memory]
        logits: Tensor = output.logits[:, -1]
        if not begins:
            self._end_stopped(logits, tokens, condition["stops"])
        return logits

    def _end_stopped(self, logits: Tensor, tokens: Tensor, stops: Tensor) -> None:
        """Leave only the ends of text possible where the text holds a stop text."""
        if not self.eos_ids or not any(self._stops[number] for number in stops.tolist()):
            return
        for i, (number, token) in enumerate(zip(stops.tolist(), tokens[:, -1].tolist(), strict=True)):
            self._written[i].append(token)
            text = self.codec.decode([each for each in self._written[i] if each < self.mask_id])
            if any(stop in text for stop in self._stops[number] if stop):
                ends = torch.tensor(sorted(self.eos_ids), device=logits.device)
                kept = logits[i, ends]
                logits[i] = float("-inf")
                logits[i, ends] = kept

    def null(self, condition: Mapping[str, Tensor]) -> Mapping[str, Tensor]:
        """There is no guidance."""
        raise NotImplementedError

    def work(self, inputs: Mapping[str, Tensor]) -> tuple[Tensor, Tensor | None]:
        """(B,) tokens fed and (B,) float64 FLOPs: matrix products, with the head at the last token only."""
        fed, seen = (inputs["positions"] >= 0).sum(dim=1), self._seen.sum(dim=1).double()
        config = self.model.config
        sizes = [getattr(config, name, None) for name in ("num_hidden_layers", "num_attention_heads", "hidden_size")]
        if None in sizes or getattr(config, "num_experts", None) or getattr(config, "num_local_experts", None):
            return fed, None
        layers, heads, width = (int(size) for size in sizes if size is not None)
        inner = heads * int(getattr(config, "head_dim", None) or width // heads)
        head = self.model.get_output_embeddings()
        matrices = [module.weight for module in self.model.modules() if _is_matrix(module) and module is not head]
        weights = sum(weight.numel() for weight in matrices)
        attention = 4 * layers * inner * fed.double() * seen
        return fed, 2 * weights * fed.double() + attention + 2 * width * float(config.vocab_size)


def _is_matrix(module: nn.Module) -> bool:
    return isinstance(module, nn.Linear) or type(module).__name__ == "Conv1D"


def _ends(checkpoint: Checkpoint, codec: TokenizerCodec, end_of_turn: str) -> frozenset[int]:
    """The ends of text as `config.json` or the tokenizer names them, and the end of a turn."""
    ends = checkpoint.config.get("eos_token_id")
    ends = [codec.eos_id] if ends is None else ends if isinstance(ends, list) else [ends]
    return frozenset(end for end in (*ends, codec.id_of(end_of_turn)) if end is not None)
