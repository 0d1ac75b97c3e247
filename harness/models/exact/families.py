"""The registered exact models. `seed` draws the parameters of the joint, `noise` is its share of uniform per token."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import numpy as np
import torch
from numpy.typing import NDArray

from harness.errors import UserError
from harness.models.exact.denoiser import ExactDenoiser
from harness.models.exact.forest import ForestJoint
from harness.models.exact.joint import Joint
from harness.models.exact.parity_check import ParityJoint
from harness.models.info import models
from harness.spec import ModelSpec

Visible = Literal["leave_one_out", "one_hot"]
Array = NDArray[np.float64]

_NOISE = (1e-12, 1.0)
_SEED = (0, 2**32 - 1)


def chain(
    vocab: int = 8,
    length: int = 32,
    branches: int = 3,
    noise: float = 1e-4,
    seed: int = 0,
    visible: Visible = "leave_one_out",
    device: str = "cpu",
) -> ExactDenoiser:
    """A stationary Markov chain in which each state has `branches` successors of uneven probability.

    Valid sequences use these successors only. Raises UserError for a size out of range, as all models here.
    """
    _check("chain", vocab=(vocab, 2, 256), length=(length, 2, 4096), branches=(branches, 1, vocab))
    _check("chain", noise=(noise, *_NOISE), seed=(seed, *_SEED))
    transition = _sparse_rows(_draws(seed), vocab, branches)
    tables = np.stack([np.tile(_stationary(transition), (vocab, 1))] + [transition] * (length - 1))
    return _forest(range(-1, length - 1), tables, noise, visible, device)


def tree(
    vocab: int = 8,
    sections: int = 4,
    details: int = 7,
    branches: int = 3,
    noise: float = 1e-4,
    seed: int = 0,
    visible: Visible = "leave_one_out",
    device: str = "cpu",
) -> ExactDenoiser:
    """A root, then `sections` times a head, which depends on the root, and `details` tokens, which depend on the head.

    Given its parent's value, a token has `branches` possible values, others at each position.
    """
    _check("tree", vocab=(vocab, 2, 256), sections=(sections, 1, 256), details=(details, 1, 256))
    _check("tree", branches=(branches, 1, vocab), noise=(noise, *_NOISE), seed=(seed, *_SEED))
    draws = _draws(seed)
    parents = [-1]
    for _ in range(sections):
        parents += [0] + [len(parents)] * details
    root = np.tile(draws.dirichlet(np.ones(vocab)), (vocab, 1))
    tables = np.stack([root] + [_sparse_rows(draws, vocab, branches) for _ in parents[1:]])
    return _forest(parents, tables, noise, visible, device)


def parity(
    vocab: int = 2,
    length: int = 32,
    group: int = 4,
    noise: float = 1e-4,
    visible: Visible = "leave_one_out",
    device: str = "cpu",
) -> ExactDenoiser:
    """Groups of `group` tokens, uniform one by one, whose sum is 0 modulo `vocab`."""
    _check("parity", vocab=(vocab, 2, 256), length=(length, 2, 4096), group=(group, 2, length))
    _check("parity", noise=(noise, *_NOISE))
    if length % group:
        raise UserError(f"exact/parity: length={length} must be a multiple of group={group}.")
    joint = ParityJoint(vocab, length, group, noise, torch.device(device))
    return ExactDenoiser(joint, leave_one_out=visible == "leave_one_out")


def independent(
    vocab: int = 8,
    length: int = 32,
    noise: float = 1e-4,
    seed: int = 0,
    visible: Visible = "leave_one_out",
    device: str = "cpu",
) -> ExactDenoiser:
    """Independent tokens, each with a skewed distribution of its own. Every sequence is valid."""
    _check("independent", vocab=(vocab, 2, 256), length=(length, 2, 4096))
    _check("independent", noise=(noise, *_NOISE), seed=(seed, *_SEED))
    marginals = _draws(seed).dirichlet(np.ones(vocab), size=length)
    tables = np.tile(marginals[:, None], (1, vocab, 1))
    return _forest([-1] * length, tables, noise, visible, device)


def joint_of(spec: ModelSpec) -> Joint:
    """The joint behind a registered exact model, on the CPU; missing arguments take their defaults."""
    denoiser = models[spec.name].load()(**{**spec.args, "device": "cpu"})
    if not isinstance(denoiser, ExactDenoiser):
        raise UserError(f"model {spec.name!r} has no known joint; use one of exact/*.")
    return denoiser.joint


def _forest(parents: Sequence[int], tables: Array, noise: float, visible: Visible, device: str) -> ExactDenoiser:
    joint = ForestJoint(parents, torch.from_numpy(tables), noise, torch.device(device))
    return ExactDenoiser(joint, leave_one_out=visible == "leave_one_out")


def _sparse_rows(draws: np.random.RandomState, vocab: int, branches: int) -> Array:
    # (V, V) rows with `branches` positive entries. A random cycle is among them, so that a chain reaches every state.
    order = draws.permutation(vocab)
    rows = np.zeros((vocab, vocab))
    for here, following in zip(order, np.roll(order, -1), strict=True):
        others = draws.permutation(np.delete(np.arange(vocab), following))[: branches - 1]
        rows[here, [following, *others]] = draws.dirichlet(np.ones(branches))
    return rows


def _stationary(transition: Array) -> Array:
    # π with π P = π and Σ π = 1: one of the balance equations is redundant, and the sum takes its place.
    system = transition.T - np.eye(len(transition))
    system[-1] = 1
    return np.linalg.solve(system, np.eye(len(transition))[-1])


def _draws(seed: int) -> np.random.RandomState:
    return np.random.RandomState(seed)  # the one stream that numpy has frozen for good


def _check(name: str, **ranges: tuple[float, float, float]) -> None:
    for key, (value, low, high) in ranges.items():
        if not low <= value <= high:
            raise UserError(f"exact/{name}: {key}={value} must be from {low} to {high}.")
