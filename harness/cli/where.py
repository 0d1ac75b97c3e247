"""Where the samples of a run are made: in this process, on several devices, on a cluster, or a part of them here."""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import TYPE_CHECKING, Any

import click

from harness.errors import UserError

if TYPE_CHECKING:
    from harness.executors.crew import Crew
    from harness.executors.work import Order


def where_options(command: Any) -> Any:
    """The flags of `Where`."""
    for option in reversed(
        [
            click.option("--device", default="cpu", show_default=True, help="Where the model runs: cpu, cuda, cuda:1."),
            click.option("--devices", help="Several, a process each: GPUs 0,1,2,… or cpu,cpu."),
            click.option("--executor", type=click.Choice(["inline", "ray"]), default="inline", show_default=True,
                         help="In this process, or on a Ray cluster."),
            click.option("--address", help="The Ray cluster, such as auto. [default: one on this machine]"),
            click.option("--workers", type=click.IntRange(min=1), help="Ray workers. [default: one a GPU or core]"),
            click.option("--patience", type=click.FloatRange(min=0, min_open=True), default=3600.0, show_default=True,
                         help="Seconds without a sample after which one of several workers is replaced."),
            click.option("--shard", metavar="I/N", help="Make part I of N only, from 1; no scores, no report."),
        ]
    ):  # fmt: skip
        command = option(command)
    return command


@dataclass(frozen=True)
class Where:
    """The flags as given."""

    device: str
    devices: str | None
    executor: str
    address: str | None
    workers: int | None
    patience: float
    shard: str | None

    @classmethod
    def split(cls, flags: dict[str, Any]) -> tuple[Where, dict[str, Any]]:
        """These flags, and all others."""
        names = {field.name for field in fields(cls)}
        own = {name: value for name, value in flags.items() if name in names}
        return cls(**own), {name: value for name, value in flags.items() if name not in names}

    def check(self, timing: bool) -> None:
        """Raise UserError for flags that do not go together."""
        from harness.executors.units import Shard

        if self.shard:
            Shard.parse(self.shard)
        chosen = [("--shard", self.shard), ("--devices", self.devices), ("--executor ray", self.executor == "ray")]
        given = [flag for flag, value in chosen if value]
        if len(given) > 1:
            raise UserError(f"{given[0]} and {given[1]} do not go together: give one of them")
        if timing and given:
            raise UserError(
                f"--timing with {given[0]}: cells are timed one by one, on one device. Give it when their samples are "
                f"made, without {given[0]}."
            )
        if self.executor != "ray" and (self.address or self.workers):
            raise UserError(f"{'--address' if self.address else '--workers'} is for --executor ray")

    def crew(self, order: Order) -> Crew | None:
        """The workers that are asked for; None where this process does the work."""
        if self.executor == "ray":
            from harness.executors.ray_crew import RayCrew

            return RayCrew(order, self.device, self.workers, self.address)
        if self.devices:
            from harness.executors.local import LocalCrew, read_devices

            return LocalCrew(order, read_devices(self.devices))
        return None
