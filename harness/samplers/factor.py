"""Fast-dLLM's factor rule (Wu et al. 2025, arXiv 2505.22618, section 3.3; NVlabs/Fast-dLLM `llada/generate.py`,
`get_transfer_index_dynamic`), uncached."""

from __future__ import annotations

from dataclasses import dataclass

from harness.canvas import Ask, Canvas, Edit, State, StepView
from harness.samplers.base import Real, Whole, param
from harness.samplers.schedule import current_block, ranks


@dataclass(frozen=True)
class Factor:
    """Unmask the n most confident positions of the current block, n the largest with (n + 1)(1 − c_(n)) ≤ f; at least
    one.

    c_(n) is the n-th largest confidence, that of the most probable token; the released code takes that of the token
    drawn, which is the same at temperature 0. The release (`literal`) also unmasks the last candidate where it alone
    fails the test: two masks of confidence 0.9 and 0.01 are both unmasked.
    """

    f: Real = param(1.0, "f, what (n + 1)(1 − c_(n)) may reach", low=0.0)
    literal: bool = param(False, "unmask the last candidate as released")
    block: Whole = param(0, "block length of semi-autoregressive order; 0 = the whole canvas", low=0)

    def init(self, canvas: Canvas) -> State:
        return {}

    def step(self, view: StepView, ask: Ask) -> Edit:
        prediction = ask()
        allowed = current_block(view, self.block)
        n = ranks(prediction.confidence, allowed) + 1
        # Falling confidences make the left side grow with n, so that those within f are the first n.
        commit = allowed & ((n == 1) | (prediction.confidence.double() >= 1 - self.f / (n + 1)))
        if self.literal:
            left = (allowed & ~commit).sum(dim=1, keepdim=True)
            commit |= allowed & (left == 1)
        return Edit(commit, prediction.draw(view.random("tokens")))
