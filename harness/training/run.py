"""One training: the loop that all recipes share.

It is a function of the recipe alone: every random draw of step `s` comes from a generator seeded by (seed, s), so that
a training that was killed and resumed ends with the same weights, bit for bit, as one that ran through.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
import yaml
from torch import Tensor
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn
from tqdm import tqdm

from harness.errors import UserError
from harness.models.weights_file import read_weights, write_weights
from harness.spec import Scalar
from harness.training.batches import batches, seed_of
from harness.training.checkpoint import load_checkpoint, save_checkpoint
from harness.training.log import Log
from harness.training.optimizers import make_optimizers
from harness.training.problem import Problem, problems
from harness.training.recipe import Recipe, load_recipe


def train(
    recipe: str,
    overrides: Mapping[str, Scalar],
    output: Path,
    preset: str | None = None,
    stop_after: int | None = None,
) -> None:
    """Run a recipe, or take it up where a killed run of it left off, in the folder `output`.

    Leaves there `weights.safetensors` (the averaged weights of the best validation), `recipe.yaml` (as resolved),
    `log.jsonl`, `loss.png`, `result.json` (the numbers of the kept weights) and `checkpoint.safetensors`.
    With `stop_after`, it stops after that many steps as if killed. Raises UserError for a mistake in the recipe, or
    when `output` holds a training of another recipe.
    """
    spec = load_recipe(recipe, overrides, preset)
    _check_device(spec.device)
    factory = problems[spec.problem].load()
    with torch.random.fork_rng():
        _seed(spec.seed, 0)
        problem: Problem = factory(spec.network, spec.objective, spec.device)
        _claim(output, spec)
        _Training(spec, problem, output).run(min(spec.steps, stop_after or spec.steps))


class _Training:
    """Network, average, optimiser and position of one run."""

    def __init__(self, recipe: Recipe, problem: Problem, output: Path) -> None:
        self.recipe, self.problem, self.output = recipe, problem, output
        self.network = problem.network.to(recipe.device)
        average = get_ema_multi_avg_fn(recipe.ema)  # type: ignore[no-untyped-call]
        self.average = AveragedModel(self.network.get_submodule(problem.kept), multi_avg_fn=average)
        if recipe.compile:
            self.network.compile()
        self.optimizers = make_optimizers(self.network, recipe)
        self.step, self.best, self.best_step = 0, math.inf, 0
        if self._checkpoint.is_file():
            about = load_checkpoint(self._checkpoint, self._modules, self.optimizers)
            self.step, self.best, self.best_step = about["step"], about["best"], about["best_step"]

    def run(self, stop: int) -> None:
        """Train until step `stop`, and finish if that is the last one."""
        log = Log(self.output / "log.jsonl", self.step)
        bar = tqdm(
            total=self.recipe.steps,
            initial=self.step,
            disable=None,
            unit="step",
            desc=self.recipe.problem,
            smoothing=0.05,
        )
        for batch in batches(self.recipe, self.problem, self.step, stop):
            loss = self._take_step(batch)
            if self.step % self.recipe.validate_every == 0 or self.step == self.recipe.steps:
                numbers = self._validate()
                bar.set_postfix(validation=f"{numbers['validation']:.4g}", best=f"{self.best:.4g}")
                log.add(self.step, loss, numbers)
                self._save()
            else:
                log.add(self.step, loss, {})
            bar.update()
        bar.close()
        log.close()
        if self.step == self.recipe.steps:
            log.plot(self.output / "loss.png")
            self._report()

    def _take_step(self, batch: Any) -> Tensor:
        progress = self.step / self.recipe.steps
        self.step += 1
        _seed(self.recipe.seed, self.step)
        for optimizer in self.optimizers:
            for group in optimizer.param_groups:
                group["lr"] = group["peak"] * _schedule(self.step, self.recipe)
        self.network.train()
        self.network.zero_grad()
        with torch.autocast(torch.device(self.recipe.device).type, torch.bfloat16, self._mixed):
            loss = self.problem.loss(self.network, batch, progress)
        loss.backward()  # type: ignore[no-untyped-call]
        torch.nn.utils.clip_grad_norm_(self.network.parameters(), 1.0)
        for optimizer in self.optimizers:
            optimizer.step()
        if self.problem.after_step:
            self.problem.after_step(self.network)
        self.average.update_parameters(self.network.get_submodule(self.problem.kept))
        return loss.detach()

    def _validate(self) -> dict[str, float]:
        kept = self.average.module.eval()
        value = self.problem.validate(kept)
        if value < self.best:
            self.best, self.best_step = value, self.step
            path = self.output / "weights.safetensors"
            write_weights(path, self.problem.config, kept.state_dict(), step=self.step, **self.problem.facts)
        return {"validation": value, **(self.problem.measure(kept) if self.problem.measure else {})}

    def _save(self) -> None:
        about = {"step": self.step, "best": self.best, "best_step": self.best_step}
        save_checkpoint(self._checkpoint, self._modules, self.optimizers, about)

    def _report(self) -> None:
        _, tensors = read_weights(str(self.output / "weights.safetensors"), type(self.problem.config))
        kept = self.network.get_submodule(self.problem.kept)
        kept.load_state_dict(tensors)
        result = {"best_step": self.best_step, "validation": self.best, **self.problem.report(kept.eval())}
        (self.output / "result.json").write_text(json.dumps(result, indent=2) + "\n", encoding="utf-8")

    @property
    def _mixed(self) -> bool:
        return self.recipe.precision == "bfloat16"

    @property
    def _modules(self) -> dict[str, torch.nn.Module]:
        return {"network": self.network, "average": self.average}

    @property
    def _checkpoint(self) -> Path:
        return self.output / "checkpoint.safetensors"


def _check_device(device: str) -> None:
    try:
        torch.zeros(1, device=device).item()
    except (RuntimeError, AssertionError) as error:
        problem = str(error).splitlines()[0]
        raise UserError(f"device {device!r} cannot be used; --set device=cpu always can. {problem}") from None


def _seed(seed: int, step: int) -> None:
    torch.manual_seed(seed_of(seed, step))


def _schedule(step: int, recipe: Recipe) -> float:
    if step <= recipe.warmup:
        return step / recipe.warmup
    if recipe.decay == "none":
        return 1.0
    return 0.5 * (1 + math.cos(math.pi * (step - recipe.warmup) / max(1, recipe.steps + 1 - recipe.warmup)))


def _claim(output: Path, recipe: Recipe) -> None:
    content = yaml.safe_dump(recipe.model_dump(mode="json"), sort_keys=False, allow_unicode=True)
    path = output / "recipe.yaml"
    if path.is_file() and path.read_text(encoding="utf-8") != content:
        raise UserError(f"{output} holds a training of another recipe (see {path}): choose another output folder.")
    try:
        output.mkdir(parents=True, exist_ok=True)
        path.write_text(content, encoding="utf-8")
    except OSError as error:
        raise UserError(f"output {str(output)!r} cannot be written: {error.strerror}.") from None
