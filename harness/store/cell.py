"""One cell on disk: its specification, its samples, what they cost, and what scorers made of them.

cell.json             the specification; its hash is the name of the folder
provenance.json       under what versions it was run; no part of its identity
generations.jsonl     one line a sample; the line is the commit
images/               the pictures among the samples as PNG, written before the commit, which has their hashes
costs.jsonl           one line a sample, written before the commit; without it, it counts for nothing
traces.jsonl          the same, where traces were asked for
timing.json           seconds, joules, memory of a timing run
observations/         what scorer networks saw, by scorer id
scores/               what they made of it; like observations derived, and replaced as a whole
"""

from __future__ import annotations

import logging
import shutil
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout

from harness.errors import UserError
from harness.spec import CellSpec
from harness.store import observations
from harness.store.files import (
    append_lines,
    make_folder,
    read_json,
    read_lines,
    reread_lines,
    write_file,
    write_json,
    write_pieces,
    writing,
)
from harness.store.identity import read_spec, write_spec
from harness.store.images import committed_image, write_images
from harness.store.records import Cost, GenerationRecord, SampleKey, batch, generations, line, values
from harness.store.scores import MetricValue, ScoreSummary, hash_keys
from harness.store.spelling import spell, unspell
from harness.task import Metrics, Observations, Output

log = logging.getLogger(__name__)


GROUPS = ("cluster", "stratum")
"""What a line of scores may say of its document, beside the metrics."""


QUIET_SECONDS = 5.0
"""Processes that share a cell hold it for a commit, of which nobody need be told; longer waits are logged."""


class Locked(UserError):
    """Another process is writing the cell."""


class CellStore:
    """The folder of one cell, created when it is first locked. Anyone may read; whoever appends holds `lock()`."""

    def __init__(self, folder: Path, spec: CellSpec) -> None:
        self.folder = folder
        self.spec = spec
        self._committed: set[SampleKey] | None = None
        if self._file("cell.json").exists():
            read_spec(self._file("cell.json"))

    @classmethod
    def open(cls, folder: Path) -> CellStore:
        """The cell in an existing folder, as its `cell.json` says; raises UserError where it is none."""
        return cls(folder, read_spec(folder / "cell.json"))

    @property
    def id(self) -> str:
        """The generation id."""
        return self.spec.id

    def _file(self, name: str) -> Path:
        return self.folder / name

    # Writing samples

    @contextmanager
    def lock(self, wait: bool = False) -> Iterator[None]:
        """Be the one writer of the cell: create it, or check it and drop torn last lines, then hold it.

        If another process holds it, wait for that (and say so), or else raise Locked at once. The lock goes with
        the process, however it ends. Raises UserError, and changes nothing, where the cell is damaged.
        """
        with writing(self.folder):
            make_folder(self.folder)
            lock = self._acquire(wait)
        try:
            self._prepare()
            yield
        finally:
            self._committed = None
            lock.release()

    def _acquire(self, wait: bool) -> FileLock:
        lock = FileLock(self._file(".lock"))
        try:
            lock.acquire(blocking=False)
        except Timeout:
            if not wait:
                raise Locked(f"{self.folder} is being written by another process.") from None
            try:
                lock.acquire(timeout=QUIET_SECONDS)
            except Timeout:
                log.warning("waiting for the process that is writing %s", self.folder)
                lock.acquire()
        return lock

    def _prepare(self) -> None:
        """Check everything first, then repair."""
        if self._file("cell.json").exists():
            read_spec(self._file("cell.json"))
        elif self._file("generations.jsonl").exists():
            raise UserError(f"{self.folder} holds generations but no cell.json that says of what. Restore the file.")
        else:
            write_spec(self._file("cell.json"), self.spec)
        files = [read_lines(self._file(f"{name}.jsonl")) for name in ("generations", "costs", "traces")]
        committed = set(generations(files[0]))
        for lines in files:
            lines.drop_torn()
        self._committed = committed

    def append(self, records: Sequence[GenerationRecord]) -> None:
        """Commit a batch of samples: pictures, costs and traces are on disk before the generations are.

        Raises ValueError for a key that is already committed or a cost that is no finite number, RuntimeError
        without the lock, and UserError for a bad picture or where the disk refuses; nothing is committed then.
        """
        if self._committed is None:
            raise RuntimeError("append() outside of lock()")
        keys = {record.key for record in records}
        if len(keys) < len(records) or keys & self._committed:
            raise ValueError(f"{self.folder}: a sample would be committed twice: {sorted(keys & self._committed)[:3]}")
        new = batch(records)
        write_images(self.folder, new.images)
        for name, lines in new.lines.items():
            append_lines(self._file(f"{name}.jsonl"), lines)
        self._committed |= keys

    # Reading samples

    def done(self) -> set[SampleKey]:
        """The keys of all committed samples."""
        return set(self._lines()) if self._committed is None else set(self._committed)

    def generations(self) -> dict[SampleKey, Output]:
        """All committed samples, in the order of their commit; a picture is the path of its PNG.

        Raises UserError where a PNG is missing, or is not the one that was committed.
        """
        return {key: self._output(record) for key, record in self._lines().items()}

    def _output(self, record: Mapping[str, Any]) -> Output:
        image = committed_image(self.folder, record["image"]) if "image" in record else None
        logp = tuple(unspell(record["logp"])) if "logp" in record else None
        return Output(tuple(record["tokens"]), record["text"], image, logp, tuple(record.get("before", ())))

    def _lines(self) -> dict[SampleKey, dict[str, Any]]:
        return generations(reread_lines(self._file("generations.jsonl")))

    def costs(self) -> dict[SampleKey, Cost]:
        """What the committed samples cost, where it is known."""
        return self._beside("cost")

    def traces(self) -> dict[SampleKey, Any]:
        """The traces of the committed samples that have one."""
        return self._beside("trace")

    def _beside(self, field: str) -> dict[SampleKey, Any]:
        done = self.done()  # before the other file, so that a running writer cannot commit in between
        lines = reread_lines(self._file(f"{field}s.jsonl"))
        # A kill between the two files leaves lines without a commit. Their samples are made again, and of the lines
        # of a sample the last one counts, the one that a commit followed.
        return {key: value for key, value in values(lines, field).items() if key in done}

    # What is derived, by scorer id

    def write_scores(
        self,
        scorer: str,
        protocol: str | None,
        scores: Mapping[SampleKey, Metrics],
        metrics: Mapping[str, MetricValue],
        groups: Mapping[str, Mapping[str, str]] | None = None,
        parts: Mapping[str, Sequence[float]] | None = None,
    ) -> None:
        """Replace what `scorer` found: metrics by sample and, written last, metrics of the cell.

        For the statistics, `groups` has the `cluster` and `stratum` of the documents that name one, and `parts` those
        of metrics of the whole set (`SetMetric.parts`), in the order of `scores`.
        """
        lines = []
        for row, (key, found) in enumerate(scores.items()):
            beside: dict[str, Any] = dict((groups or {}).get(key.document, {}))
            if parts:
                beside["parts"] = {metric: values[row] for metric, values in parts.items()}
            lines.append(line(key, metrics=spell(found), **beside) + b"\n")
        write_file(self._file(f"scores/{scorer}.jsonl"), b"".join(lines))
        documents = len({key.document for key in scores})
        summary = ScoreSummary(scorer, protocol, metrics, documents, len(scores), hash_keys(scores))
        write_json(self._file(f"scores/{scorer}.summary.json"), summary.to_json())

    def read_scores(self, scorer: str) -> dict[SampleKey, Metrics]:
        """Metrics by sample; empty where this scorer has not been."""
        lines = reread_lines(self._file(f"scores/{scorer}.jsonl"))
        return {key: unspell(metrics) for key, metrics in values(lines, "metrics").items()}

    def read_parts(self, scorer: str, metric: str) -> dict[SampleKey, float]:
        """The part of each sample in a metric of the whole set; empty where the scorer told none."""
        records = reread_lines(self._file(f"scores/{scorer}.jsonl")).records
        return {
            SampleKey(record["document"], record["sample"]): float(record["parts"][metric])
            for record in records
            if metric in record.get("parts", {})
        }

    def read_groups(self, scorer: str) -> dict[str, dict[str, str]]:
        """The `cluster` and `stratum` of the documents that named one when this scorer was there."""
        records = reread_lines(self._file(f"scores/{scorer}.jsonl")).records
        found = {record["document"]: {name: record[name] for name in GROUPS if name in record} for record in records}
        return {document: groups for document, groups in found.items() if groups}

    def read_summary(self, scorer: str) -> ScoreSummary | None:
        """Metrics of the cell, None where this scorer has not been; `covers(done())` tells if they still hold."""
        path = self._file(f"scores/{scorer}.summary.json")
        data = read_json(path)
        try:
            return None if data is None else ScoreSummary.from_json(data)
        except (AttributeError, KeyError, TypeError) as error:
            raise UserError(f"{path} is no summary of scores: {error}. Delete it and score the run again.") from error

    def summaries(self) -> list[ScoreSummary]:
        """The summaries of all scorers, the newest file first."""
        paths = sorted(self.folder.glob("scores/*.summary.json"), key=lambda path: (-path.stat().st_mtime_ns, path))
        found = [self.read_summary(path.name.removesuffix(".summary.json")) for path in paths]
        return [summary for summary in found if summary is not None]

    def write_observations(self, scorer: str, keys: Sequence[SampleKey], arrays: Observations) -> None:
        """Store what scorer networks saw: numeric arrays whose first axis is that of `keys`."""
        write_pieces(self._file(f"observations/{scorer}.safetensors"), observations.pack(keys, arrays))

    def add_observations(self, scorer: str, keys: Sequence[SampleKey], arrays: Observations) -> None:
        """The same of some samples, beside what there is of others, until `gather_observations`."""
        part = self._file(f"observations/{scorer}.parts/{hash_keys(keys)}.safetensors")
        write_pieces(part, observations.pack(keys, arrays))

    def observed(self, scorer: str) -> set[SampleKey]:
        """The samples of which there are observations, gathered or not."""
        return {key for keys, _ in self._observed(scorer) for key in keys}

    def gather_observations(self, scorer: str, keys: Sequence[SampleKey]) -> Observations:
        """Put the observations of these samples, all of which there are, into one file in this order; read it."""
        path = self._file(f"observations/{scorer}.safetensors")
        write_pieces(path, observations.join(keys, self._observed(scorer)))
        shutil.rmtree(path.with_suffix(".parts"), ignore_errors=True)
        found = observations.read(path)
        assert found is not None
        return found[1]

    def _observed(self, scorer: str) -> list[tuple[list[SampleKey], Observations]]:
        path = self._file(f"observations/{scorer}.safetensors")
        found = [observations.read(each) for each in (path, *sorted(path.with_suffix(".parts").glob("*.safetensors")))]
        return [each for each in found if each is not None]

    def read_observations(self, scorer: str) -> tuple[list[SampleKey], Observations] | None:
        """The keys and arrays as written, the arrays as memory maps; None where there are none."""
        return observations.read(self._file(f"observations/{scorer}.safetensors"))

    def write_timing(self, timing: Mapping[str, Any]) -> None:
        """Replace the measurements of the timing run."""
        write_json(self._file("timing.json"), dict(timing))

    def read_timing(self) -> dict[str, Any] | None:
        """The measurements of the timing run; None where there was none."""
        timing: dict[str, Any] | None = read_json(self._file("timing.json"))
        return timing

    def add_provenance(self, record: Mapping[str, Any]) -> None:
        """Note under what versions the cell is being run, unless the last run noted the same; under the lock."""
        entries = self.provenance()
        if not entries or entries[-1] != record:
            write_json(self._file("provenance.json"), [*entries, dict(record)])

    def provenance(self) -> list[dict[str, Any]]:
        """The notes of all runs that added to the cell, oldest first."""
        return read_json(self._file("provenance.json")) or []
