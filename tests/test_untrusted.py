"""What comes from elsewhere, weights, datasets, archives, suites, is data: no path in the code runs it."""

import ast
from pathlib import Path

import pytest

from harness.catalogue import read_yaml
from harness.errors import UserError

ROOT = Path(__file__).parent.parent
FILES = sorted([*(ROOT / "harness").rglob("*.py"), *(ROOT / "tasks").rglob("*.py")])

RUNS = {"pickle", "cPickle", "_pickle", "dill", "cloudpickle", "joblib", "shelve", "marshal"}
"""Modules that run what they read."""
UNPACKS = {"tarfile", "zipfile", "shutil.unpack_archive"}
"""An archive names the files that it writes. There is none to unpack: whoever needs one shall check the names here."""


def problems(tree):
    """What a file does that it should not, with its lines."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import | ast.ImportFrom):
            module = getattr(node, "module", None)
            names = [f"{module}.{each.name}" if module else each.name for each in node.names]
            yield from (
                (node.lineno, name)
                for name in names
                if (name.split(".")[0] in RUNS | UNPACKS or name in UNPACKS) and not name.endswith("Error")
            )
        if isinstance(node, ast.Call):
            called = ast.unparse(node.func)
            options = {each.arg: ast.unparse(each.value) for each in node.keywords}
            if (
                called in ("eval", "exec", "shutil.unpack_archive")
                or (called.endswith("torch.load") and options.get("weights_only") != "True")
                or options.get("allow_pickle") == "True"
                or (called in ("yaml.load", "yaml.load_all") and options.get("Loader") != "_LOADER")
                or called in ("yaml.unsafe_load", "yaml.full_load")
            ):
                yield node.lineno, ast.unparse(node)


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(ROOT)))
def test_nothing_that_is_read_is_run(path):
    assert not list(problems(ast.parse(path.read_text(encoding="utf-8"))))


@pytest.mark.parametrize(
    "code",
    [
        "import pickle",
        "from pickle import loads",
        "import joblib",
        "from zipfile import ZipFile",
        "from shutil import unpack_archive",
        "torch.load(path)",
        "torch.load(path, weights_only=False)",
        "np.load(path, allow_pickle=True)",
        "yaml.load(text, Loader=yaml.Loader)",
        "eval(text)",
    ],
)
def test_the_check_itself_sees_what_it_should(code):
    assert list(problems(ast.parse(code)))
    assert not list(problems(ast.parse("torch.load(path, weights_only=True); np.load(path); model.eval()")))


def test_a_suite_is_data(tmp_path):
    path = tmp_path / "suite.yaml"
    path.write_text(f"name: !!python/object/apply:os.mkdir [{tmp_path / 'made'}]\n")
    with pytest.raises(UserError, match=r"is not valid YAML.*could not determine a constructor"):
        read_yaml(path)
    assert not (tmp_path / "made").exists()
