"""The task object of lm-eval with its data, and what it asks."""

from __future__ import annotations

import contextlib
import io
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from harness.errors import UserError
from harness.lm_tasks.find import read_config

Turns = tuple[tuple[str, str], ...]


@dataclass(frozen=True)
class Asked:
    """One document of lm-eval.

    instances  lm-eval's requests of it, in order: one to write a text, or one for each text to score
    turns      the conversation, where a text is to be written
    """

    id: int
    doc: Any
    instances: Sequence[Any]
    turns: Turns = ()


def load(name: str, path: Path, settings: Mapping[str, Any], data_dir: Path | None) -> Any:
    """lm-eval's task, its data loaded; raises UserError that says what to do where they cannot be.

    A dataset `owner/name`, that of a Python class too, is taken from `data_dir/owner/name`, if that is there, else from
    the hub or its cache.
    """
    from lm_eval.tasks import TaskManager

    config = read_config(path, functions=True)
    kind = config.get("class")
    dataset = config.get("dataset_path") if kind is None else kind.DATASET_PATH
    local = _local(dataset, data_dir)
    if local is not None:
        if kind is None:
            config["dataset_path"] = str(local)
        else:
            config["class"] = type(kind.__name__, (kind,), {"DATASET_PATH": str(local)})
    try:
        with _quiet():
            (task,) = TaskManager(include_defaults=False).load([config])["tasks"].values()
    except ImportError as error:
        raise UserError(f"task {name!r} needs a Python package that is not installed: {error}") from error
    except (OSError, ValueError, RuntimeError) as error:
        raise UserError(_unreachable(name, dataset, data_dir, error)) from error
    except Exception as error:  # the code and files of others: anything may be wrong with them
        raise UserError(f"task {name!r} ({path}) cannot be used: {type(error).__name__}: {error}") from error
    given = settings["num_fewshot"]
    if given and task.get_config("num_fewshot") == 0:
        raise UserError(f"task {name!r}: num_fewshot is {given}, but lm-eval keeps this task at 0.")
    task.set_config("num_fewshot", given)
    return task


def ask(task: Any, settings: Mapping[str, Any]) -> list[Asked]:
    """What lm-eval asks, for all documents. A conversation is kept as it is, for the model's own chat template."""
    plain = _requests(task, settings)
    if task.OUTPUT_TYPE != "generate_until":
        return [Asked(number, each[0].doc, each) for number, each in plain.items()]  # contexts are plain text
    if wrong := {each.request_type for instances in plain.values() for each in instances} - {"generate_until"}:
        raise UserError(
            f"task {task.config.task!r} asks for {', '.join(sorted(wrong))} beside texts, or in their place. Run it "
            "from lm-eval's side: mdm-eval lm-eval --model mdm …"
        )
    chat = _requests(
        task,
        settings,
        system_instruction=settings["system"] or None,
        apply_chat_template=True,
        fewshot_as_multiturn=settings["multiturn"],
        chat_template=_conversation,
    )
    return [Asked(number, each[0].doc, each, chat[number][0].args[0]) for number, each in plain.items()]


def _requests(task: Any, settings: Mapping[str, Any], **templating: Any) -> dict[int, list[Any]]:
    """lm-eval's requests by the number of their document. Examples are drawn as in a run of lm-eval's own."""
    task.set_fewshot_seed(seed=settings["fewshot_seed"])
    with _quiet():
        task.build_all_requests(**templating)
    found: dict[int, list[Any]] = {}
    for instance in task.instances:
        found.setdefault(instance.doc_id, []).append(instance)
    return {number: sorted(each, key=lambda instance: instance.idx) for number, each in found.items()}


def _conversation(messages: Sequence[Mapping[str, str]], add_generation_prompt: bool = True) -> Turns:
    return tuple((message["role"], message["content"]) for message in messages)


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Bars of progress only where there is a terminal; lm-eval and datasets show theirs anywhere."""
    if sys.stderr.isatty():
        yield
        return
    with contextlib.redirect_stderr(io.StringIO()):
        yield


def _local(dataset: Any, data_dir: Path | None) -> Path | None:
    if data_dir is None or not isinstance(dataset, str):
        return None
    folder = data_dir / dataset
    return folder if folder.is_dir() else None


def _unreachable(name: str, dataset: Any, data_dir: Path | None, error: Exception) -> str:
    where = f"; {data_dir / str(dataset)} is not there" if data_dir is not None else ""
    return (
        f"task {name!r}: lm-eval cannot load its data {dataset} ({type(error).__name__}: {error}){where}. Load it once "
        f"where there is a network, so that it is in the cache of Hugging Face (HF_HOME; then HF_HUB_OFFLINE=1 uses "
        f"nothing else), or get a copy with `hf download --repo-type dataset {dataset} --local-dir DIR/{dataset}` and "
        "pass DIR as --data-dir."
    )


def judge(task: Any, asked: Asked, responses: Sequence[Sequence[Any]]) -> dict[tuple[str, str], Any]:
    """(metric, filter) to lm-eval's value, given the responses to each request of a document: one or more, which
    lm-eval's filters bring down to one."""
    found: dict[tuple[str, str], Any] = {}
    for chosen, left in apply_filters(task, asked, responses).items():
        found.update({(metric, chosen): value for metric, value in task.process_results(asked.doc, left).items()})
    return found


def apply_filters(task: Any, asked: Asked, responses: Sequence[Sequence[Any]]) -> dict[str, list[Any]]:
    """Name of each of lm-eval's filters to what it makes of the responses, one for each request of a document."""
    instances = [
        replace(instance, resps=list(answers), filtered_resps={})
        for instance, answers in zip(asked.instances, responses, strict=True)
    ]
    task._instances = instances
    task.apply_filters()
    return {name: [each.filtered_resps[name] for each in instances] for name in instances[0].filtered_resps}
