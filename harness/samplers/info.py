"""What the registry says of a sampler: plain data, read without importing torch."""

from __future__ import annotations

from dataclasses import dataclass

from harness.registry import Registry


@dataclass(frozen=True)
class SamplerInfo:
    """Metadata of a sampler.

    summary        one line on what it does
    citation       paper, or repository and file
    cost           model calls of one step, in words
    calls          model calls of one step of the published loop; None where that varies
    knob           what trades quality for compute: `steps` (the suite's budgets), a parameter's name, or None
    sweep          default values of a knob that is a parameter
    may_remask     whether it may mask a committed token again
    may_overwrite  whether it may replace a committed token
    needs          model capabilities it cannot do without, and `grid` if it is for images only
    patience       steps in a row that may bring no new low of masked positions; where the knob is `steps`, that may
                   neither do so nor advance the schedule
    semantics      raised by hand whenever the same parameters begin to give other tokens
    cacheable      whether a step asks at most once, about the canvas as it is, and reads no prediction outside its
                   current block (of its parameter `block`; the whole response where it has none): what a model with a
                   memory needs of it
    estimates      whether it writes nothing, but estimates the log-likelihood of a text that is given, and leaves it as
                   `estimate`, (B,) float64 nats, in its state
    official       parameters, by name, that follow the release to the letter, quirks included: what the parameter
                   `protocol=official` stands for; empty where the release does what the paper says
    protocols      the same of other releases that sample with this method: name of the protocol to its parameters
    generator      whether it makes whole outputs by a loop of its own (`engine.generator.Generator`), of which the
                   fields on calls, masks and patience then say nothing; it must name its needs
    """

    summary: str
    citation: str
    cost: str = "1 call"
    calls: int | None = 1
    knob: str | None = "steps"
    sweep: tuple[float, ...] = ()
    may_remask: bool = False
    may_overwrite: bool = False
    needs: frozenset[str] = frozenset()
    patience: int = 0
    semantics: int = 1
    official: tuple[tuple[str, bool | int | float | str], ...] = ()
    protocols: tuple[tuple[str, tuple[tuple[str, bool | int | float | str], ...]], ...] = ()
    generator: bool = False
    cacheable: bool = False
    estimates: bool = False

    @property
    def writes(self) -> bool:
        """Whether it is a sampler proper: one that writes on a canvas step by step."""
        return not (self.generator or self.estimates)


samplers: Registry[SamplerInfo] = Registry("sampler", "mdm_harness.samplers")
