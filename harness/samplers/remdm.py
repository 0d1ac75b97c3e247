"""ReMDM and its special cases (Wang et al. 2025, arXiv 2503.00307; kuleshov-group/remdm `diffusion.py`)."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from harness.canvas import Ask, Canvas, Edit, State, StepView
from harness.samplers.base import Real, param

_TINY = 1e-12


@dataclass(frozen=True)
class ReMDM:
    """Ancestral sampling in which a step from t to s re-masks a visible token with probability σ and, to make up for
    it, unmasks a mask with probability (α_s − (1 − σ) α_t)/(1 − α_t). σ never exceeds σ_max = min(1, (1 − α_s)/α_t),
    where that probability is 1; so the last step, which has σ_max = 0, leaves no mask. α = 1 − t on T equal steps.

    cap               σ = η (the script has η = 0.008)
    rescale           σ = η σ_max (0.015)
    conf              σ_i = σ_max · softmax_i(−ψ) over visible tokens, ψ_i the probability with which i was unmasked;
                      masks are unmasked as with σ = 0
    loop              α rises to α_on until t_on, stays there with σ = η until t_off, then rises to 1 (0.02)
    forward_backward  σ = (α_s − α_t)/α_t
    dfm               σ = 10 (t (1 − t))^¼ (α_s − α_t)/α_t, the corrector of Gat et al. 2024, arXiv 2407.15595

    The η of the scripts are for T = 1,024 on 1,024 tokens; fewer steps need a larger one. A step that unmasks nothing
    asks nothing of the model, which is exact for a network that does not read the time.

    Where the released code differs: its scripts draw from the nucleus of p = 0.9 (`top_p=0.9`, though the code leaves
    out the token that crosses p); `loop` keeps the formula of t at the step that crosses t_on or t_off, where here α
    is the continuous function of the paper; `forward_backward` goes beyond σ_max at the last step, and a further call
    fills the masks by arg-max; `dfm` shortens the steps at which σ_max would be exceeded, and so takes more than T.
    """

    strategy: str = param("cap", "what sets σ", choices=("cap", "rescale", "conf", "loop", "forward_backward", "dfm"))
    eta: Real = param(0.008, "η of cap, rescale and loop; 0 = ancestral", low=0.0, high=1.0)
    t_on: Real = param(0.55, "time at which loop begins to re-mask", low=0.0, high=1.0)
    t_off: Real = param(0.05, "time at which loop ends re-masking", low=0.0, high=1.0)
    alpha_on: Real = param(0.9, "share unmasked while loop re-masks", low=0.0, high=1.0)
    top_p: Real = param(1.0, "nucleus that tokens are drawn from; 1 = the whole distribution", low=0.0, high=1.0)

    def init(self, canvas: Canvas) -> State:
        return {"psi": torch.zeros(canvas.tokens.shape, dtype=torch.float64, device=canvas.tokens.device)}

    def step(self, view: StepView, ask: Ask) -> Edit:
        canvas = view.canvas
        budget, step = canvas.budget[:, None], canvas.step[:, None]
        t, s = (budget - step).double() / budget, (budget - step - 1).clamp(min=0).double() / budget
        alpha_t, alpha_s = self._alpha(t), self._alpha(s)
        sigma_max = ((1 - alpha_s) / alpha_t.clamp(min=_TINY)).clamp(max=1)
        sigma = torch.minimum(
            self._sigma(view, t, (alpha_s - alpha_t) / alpha_t.clamp(min=_TINY), sigma_max), sigma_max
        )
        unmask = (alpha_s - (1 - sigma) * alpha_t) / (1 - alpha_t).clamp(min=_TINY)

        flip, last = view.random("flip"), step + 1 >= budget
        commit = view.masked & ((flip < unmask) | last)
        remask = view.visible & (flip < sigma) & ~last
        prediction = ask(view.query(need=commit)).filtered(top_p=self.top_p)
        tokens = prediction.draw(view.random("tokens"))
        psi = torch.where(commit, prediction.logp(tokens).double().exp(), view.state["psi"])
        return Edit(commit, tokens, {"psi": psi}, remask=remask)

    def _alpha(self, t: Tensor) -> Tensor:
        """(B, 1) float64: the share unmasked at time t, continuous, from 0 at t = 1 to 1 at t = 0."""
        if self.strategy != "loop":
            return 1 - t
        on, off, level = (torch.as_tensor(value, device=t.device) for value in (self.t_on, self.t_off, self.alpha_on))
        rising = ((1 - t) / (1 - on).clamp(min=_TINY)).clamp(max=1)
        closing = (1 - t / off.clamp(min=_TINY)).clamp(min=0)
        return level * rising + (1 - level) * closing

    def _sigma(self, view: StepView, t: Tensor, gain: Tensor, sigma_max: Tensor) -> Tensor:
        """(B, 1) or (B, L) float64: the wished probability of re-masking; 0 at masks if it is (B, L)."""
        if self.strategy == "cap":
            return self.eta * torch.ones_like(t)
        if self.strategy == "rescale":
            return self.eta * sigma_max
        if self.strategy == "conf":
            weight = torch.where(view.visible, (-view.state["psi"]).exp(), 0.0)
            return sigma_max * weight / weight.sum(dim=1, keepdim=True).clamp(min=_TINY)
        if self.strategy == "loop":
            return self.eta * ((t > self.t_off) & (t <= self.t_on)).double()
        return gain if self.strategy == "forward_backward" else 10 * (t * (1 - t)) ** 0.25 * gain
