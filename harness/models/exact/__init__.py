"""Denoisers whose conditionals are computed exactly from a known joint, so that every gap is the sampler's fault."""

from harness.models.exact.denoiser import ExactDenoiser
from harness.models.exact.families import chain, independent, joint_of, parity, tree
from harness.models.exact.joint import Joint

__all__ = ["ExactDenoiser", "Joint", "chain", "independent", "joint_of", "parity", "tree"]
