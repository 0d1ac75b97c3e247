"""The shape of the command line, and the harness installed from a wheel."""

import subprocess
import sys
from pathlib import Path

import pytest

from harness import cli
from harness.cli import run

ROOT = Path(__file__).parents[2]


@pytest.mark.parametrize("line", ["-h", "--help", "run -h", "score --help"])
def test_help(mdm, line):
    result = mdm(line)
    assert result.code == 0
    assert "Usage:" in result.out
    if not line.startswith(("run", "score")):
        assert all(verb in result.out for verb in ("run", "ls", "validate", "score", "report", "train"))


def test_no_arguments_are_the_quickstart(monkeypatch):
    seen = []
    monkeypatch.setattr(cli.cli, "main", lambda arguments, **options: seen.append(arguments))
    cli.main([])
    assert seen == [["run", "quickstart"]]


def test_hyphens_and_underscores_are_the_same_in_flags_and_stay_in_values(mdm, monkeypatch):
    given = {}
    monkeypatch.setattr(run, "planned", lambda catalogue, data_dir, **chosen: given.update(chosen) or 1 / 0)
    command = "run my_suite --batch_size 3 --model-args a_b=1 --model_args=a_c=1"
    with pytest.raises(ZeroDivisionError):
        mdm(command)
    assert given["batch_size"] == 3
    assert given["model_args"] == "a_c=1"
    assert given["suite"] == "my_suite"


def test_flags_win_over_a_suite(mdm, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path("suite.yaml").write_text(
        "name: mine\nsweeps:\n"
        "  - {models: exact/chain, tasks: exact, samplers: random, budgets: [1, 2], limit: 3}\n"
        "  - {models: exact/parity, tasks: exact, samplers: [eb, {name: threshold, tau: [0.5, 0.9]}]}\n"
    )
    plain = mdm("run suite.yaml --dry-run").out
    assert plain.startswith("10 cells -> results/mine")  # 2 budgets, 6 values of eb's own sweep, 2 of tau
    flagged = mdm("run suite.yaml --dry-run --samplers random --budgets 1,2,4 --limit 2 --seeds 0,1").out
    assert flagged.startswith("12 cells")
    assert "seed=1  0/2 samples" in flagged
    assert not Path("results").exists()


def test_a_grid_on_the_command_line_is_the_grid_in_yaml(mdm, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path("suite.yaml").write_text(
        "name: mine\nsweeps:\n  - models: {name: exact/chain, length: [8, 16]}\n    tasks: exact\n"
        "    samplers: [{name: eb, gamma: [1e-2, 1]}, {name: sequential, order: left_to_right}]\n"
    )
    line = "run --dry-run --output out --model exact/chain --model-args length=8|16 --tasks exact"
    flags = mdm(line, "--samplers", "eb:gamma=0.01|1,sequential:order=left_to_right").out
    assert flags == mdm("run suite.yaml --dry-run --output out").out
    assert flags.startswith("6 cells")


@pytest.fixture(scope="module")
def installed(tmp_path_factory):
    """The folder into which a wheel of the checkout was installed."""
    wheels, target = tmp_path_factory.mktemp("wheels"), tmp_path_factory.mktemp("installed")
    build = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(wheels)]
    subprocess.run(build, cwd=ROOT, check=True, capture_output=True)
    (wheel,) = wheels.glob("*.whl")
    install = [sys.executable, "-m", "pip", "install", "--no-deps", "--no-index", "--target", str(target), str(wheel)]
    subprocess.run(install, check=True, capture_output=True)
    return target


@pytest.mark.slow
def test_a_wheel_works_from_any_folder(installed, tmp_path):
    def mdm_eval(*arguments):
        command = [sys.executable, str(installed / "bin" / "mdm-eval"), *arguments]
        environment = {"PYTHONPATH": str(installed), "PATH": "/usr/bin:/bin", "HOME": str(tmp_path)}
        done = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True)
        assert done.returncode == 0, done.stderr
        return done.stdout

    shipped = {path.name for path in (ROOT / "tasks").iterdir() if (path / "task.yaml").exists()}
    assert shipped <= {line.split()[0] for line in mdm_eval("ls", "tasks").splitlines()}
    assert "quickstart" in mdm_eval("ls", "suites")
    assert (installed / "harness" / "_bundled" / "tasks" / "exact" / "task.py").is_file()
    run = ["run", "--tasks", "exact", "--model", "exact/chain", "--samplers", "eb:gamma=1", "--limit", "3"]
    assert "adhoc" in mdm_eval(*run)
    assert (tmp_path / "results" / "adhoc" / "leaderboard.md").is_file()
    digits = ["run", "--tasks", "digits", "--model", "digits", "--samplers", "random", "--budgets", "1"]
    mdm_eval(*digits, "--limit", "20", "--output", "digits")
    assert (tmp_path / "digits" / "leaderboard.md").is_file()
