"""Dream's decoding (Ye et al. 2025, arXiv 2508.15487; DreamLM/Dream `generation_utils.py`)."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from harness.canvas import Ask, Canvas, Edit, State, StepView
from harness.prediction import Prediction
from harness.samplers.base import Real, Whole, param
from harness.samplers.schedule import gumbel, scheduled, top

_EPS = 1e-3


@dataclass(frozen=True)
class Dream:
    """Unmask, out of the whole canvas, the positions that `alg` scores highest after temperature, top-p and top-k.

    `maskgit_plus` scores the probability of the token drawn, `topk_margin` the gap between the two best tokens,
    `entropy` the negative entropy, all of the distribution that tokens are drawn from. `origin` scores nothing: each
    mask is revealed with probability 1 − s/t, all at the last step. With `alg_temp` positions are drawn without
    replacement from softmax(score / alg_temp).

    By default the masks left are shared out evenly over the steps left (`origin`: t falls to 0). As released
    (`literal`), t falls to 0.001 and ⌊m (1 − s/t)⌋ of the m masks are unmasked, which with as many steps as tokens
    wastes the first step and unmasks two at the last. The release counts m as the mean over a batch; here every row
    has its own. With `rounded` scores have the precision of the model's logits, as released: in bfloat16 many are
    equal, and ties go to the lower position. Where it is not told otherwise the release keeps the 50 likeliest tokens
    (`top_k`), a default that it inherits from transformers' configurations.
    """

    alg: str = param("entropy", "the score", choices=("origin", "maskgit_plus", "topk_margin", "entropy"))
    alg_temp: Real = param(0.0, "temperature of the choice of positions; 0 = the highest scores", low=0.0)
    top_p: Real = param(1.0, "probability that the likeliest tokens kept must reach", low=0.0, high=1.0)
    top_k: Whole = param(0, "number of likeliest tokens kept; 0 = all", low=0)
    literal: bool = param(False, "the released schedule, rounded down")
    rounded: bool = param(False, "scores in the dtype of the logits, as released")

    def init(self, canvas: Canvas) -> State:
        return {}

    def step(self, view: StepView, ask: Ask) -> Edit:
        asked = ask()
        prediction = asked.tempered().filtered(self.top_p, self.top_k)
        tokens = prediction.draw(view.random("tokens"))
        if self.alg == "origin":
            return Edit(view.masked & (view.random("order") < self._share(view)), tokens)
        dtype = asked.logits.dtype
        score = self._rounded(prediction, tokens, dtype) if self.rounded else self._score(prediction, tokens)
        alg_temp = torch.as_tensor(self.alg_temp, device=score.device)
        drawn = score / torch.where(alg_temp > 0, alg_temp, 1.0) + gumbel(view.random("order"))
        score = torch.where(alg_temp > 0, drawn, score)
        return Edit(top(self._count(view), score, view.masked), tokens)

    def _score(self, prediction: Prediction, tokens: Tensor) -> Tensor:
        """(B, L) float64: higher is unmasked earlier."""
        if self.alg == "maskgit_plus":
            return prediction.logp(tokens).double().exp()
        return (prediction.margin if self.alg == "topk_margin" else -prediction.entropy).double()

    def _rounded(self, prediction: Prediction, tokens: Tensor, dtype: torch.dtype) -> Tensor:
        """(B, L) float64: the same, each operation of the release rounded to `dtype`."""
        if self.alg == "maskgit_plus":
            return prediction.logp(tokens).exp().to(dtype).double()
        if self.alg == "topk_margin":
            return (prediction.confidence.to(dtype) - prediction.top2.to(dtype)).double()
        p = prediction.full(prediction.need).exp().to(dtype)
        score = (p * (p + 1e-10).log()).sum(dim=-1).double()
        return torch.zeros(prediction.need.shape, dtype=score.dtype, device=score.device).masked_scatter(
            prediction.need, score
        )

    def _count(self, view: StepView) -> Tensor:
        """(B,) int64: positions to unmask."""
        if not self.literal:
            return scheduled(view, 0)[1]
        masks = view.masked.sum(dim=1)
        return (masks * self._share(view).squeeze(1)).floor().to(torch.int64)

    def _share(self, view: StepView) -> Tensor:
        """(B, 1) float64: 1 − s/t of this step, 1 at the last."""
        step, budget = view.canvas.step[:, None].double(), view.canvas.budget[:, None].double()
        fall = (1 - _EPS if self.literal else 1.0) / budget
        return torch.where(step + 1 >= budget, 1.0, fall / (1 - fall * step))
