"""The house as it was planned: imports run downwards, files stay short, and asking for help loads nothing heavy."""

import ast
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
HARNESS = ROOT / "harness"
FILES = sorted(HARNESS.rglob("*.py"))

LAYERS = (
    ("errors", "tiles"),
    ("fused",),
    ("jsonl", "miniworld", "picture", "prediction", "registry", "remote", "spec"),
    ("canvas", "grammar", "task"),
    ("dataset", "samplers", "models", "metrics"),
    ("lm_tasks", "picture_tasks"),
    ("catalogue", "components"),
    ("engine", "store"),
    ("executors", "analysis", "training", "conformance"),
    ("lm_model", "bench"),
    ("cli",),
)
"""From the ground up: a room imports from layers below its own, and from itself."""

BLIND = {
    "samplers": {"task", "spec", "grammar"},
    "metrics": {"spec", "canvas", "prediction"},
    "analysis": {"components", "engine", "models", "canvas", "prediction"},
    "store": {"models", "samplers", "metrics", "catalogue", "components"},
}
"""What a room may not look at although it lies below: a sampler sees no task, a metric no model, analysis runs none."""

LEVEL = {room: level for level, rooms in enumerate(LAYERS) for room in rooms}


def room_of(path: Path) -> str:
    """`harness/cli/run.py` and `harness/spec.py` are in the rooms cli and spec."""
    return path.relative_to(HARNESS).parts[0].removesuffix(".py")


def imports(path: Path) -> Iterator[tuple[str, int]]:
    """Every imported module with its line, those inside functions and under TYPE_CHECKING included."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from ((alias.name, node.lineno) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}:{node.lineno}: a relative import"
            assert node.module is not None
            yield from ((f"{node.module}.{alias.name}", node.lineno) for alias in node.names)


def misplaced(room: str, module: str) -> bool:
    """Whether `room` must not import `module`."""
    if module.split(".")[0] in ("tasks", "suites", "tests", "run_eval"):
        return True
    if not module.startswith("harness."):
        return False
    other = module.split(".")[1]
    if other not in LEVEL:  # a name of harness/__init__.py
        return False
    return other != room and (LEVEL[other] >= LEVEL[room] or other in BLIND.get(room, ()))


def test_every_room_is_on_the_plan():
    assert {room_of(path) for path in FILES} - {"__init__"} <= set(LEVEL)


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(ROOT)))
def test_imports_run_downwards_and_files_are_short(path):
    room = room_of(path)
    wrong = [f"line {line}: {name}" for name, line in imports(path) if room == "__init__" or misplaced(room, name)]
    assert not wrong
    assert len(path.read_text(encoding="utf-8").splitlines()) <= 400


def test_the_check_itself_sees_what_it_should():
    assert misplaced("samplers", "harness.task.Request")
    assert misplaced("engine", "harness.executors.inline.execute")
    assert misplaced("spec", "harness.registry.Registry")  # neighbours of a layer do not import each other
    assert misplaced("analysis", "tasks.exact")
    assert not misplaced("executors", "harness.engine.loop.CanvasEngine")
    assert not misplaced("executors", "harness.__version__")


def test_tasks_import_nothing_above_the_store():
    above = {room for room, level in LEVEL.items() if level >= LEVEL["executors"]}
    for path in (ROOT / "tasks").rglob("*.py"):
        rooms = {name.split(".")[1] for name, _ in imports(path) if name.startswith("harness.")}
        assert not rooms & above, path


@pytest.mark.parametrize(
    "verb",
    [["--help"], ["run", "--help"], *(["ls", kind] for kind in ("tasks", "samplers", "models", "suites"))],
    ids=" ".join,
)
def test_help_and_ls_load_nothing_heavy(verb):
    code = "import atexit, sys; atexit.register(lambda: print(*sys.modules)); from harness.cli import main; main()"
    done = subprocess.run([sys.executable, "-c", code, *verb], cwd=ROOT, capture_output=True, text=True, check=True)
    loaded = set(done.stdout.splitlines()[-1].split())
    assert "harness.cli" in loaded
    assert not loaded & {"torch", "numpy", "pandas", "matplotlib", "sklearn", "lm_eval", "torchmetrics", "pydantic"}
