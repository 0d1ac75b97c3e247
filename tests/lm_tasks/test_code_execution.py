"""Tasks that run what a model wrote: refused unless allowed, and then in a process with limits."""

import socket

import pytest

from harness.catalogue import Catalogue
from harness.errors import UserError
from harness.lm_tasks.code import CodeJudge
from harness.lm_tasks.confine import landlock_version
from harness.spec import TaskSpec
from harness.task import Output, Sample

CODE = """
def passes(references, predictions):
    space = {}
    try:
        exec(predictions[0] + "\\n" + references[0], space)
    except BaseException:
        return 0.0
    return 1.0
"""
YAML = """
task: adding
dataset_path: json
dataset_kwargs: {{data_files: {{test: {data}}}}}
unsafe_code: true
output_type: generate_until
test_split: test
doc_to_text: "write add"
doc_to_target: "assert add(2, 3) == 5"
generation_kwargs: {{until: ["END"], max_gen_toks: 64, do_sample: false}}
metric_list:
  - {{metric: !function metric.passes, aggregation: mean, higher_is_better: true}}
"""
GOOD = "def add(a, b): return a + b"
NETWORK = """
import socket
def add(a, b):
    one = socket.socket()
    one.connect(("127.0.0.1", PORT))
    return a + b
"""


@pytest.fixture
def task(tmp_path):
    """`task(allowed, seconds)`: the task, whose judge waits so long."""
    folder = tmp_path / "theirs"
    folder.mkdir()
    (folder / "metric.py").write_text(CODE)
    (folder / "test.jsonl").write_text('{"n": 1}\n{"n": 2}\n')
    (folder / "adding.yaml").write_text(YAML.format(data=folder / "test.jsonl"))

    def make(allowed=True):
        return Catalogue([folder], allowed).task(TaskSpec(name="lm_eval:adding"), None, None)

    return make


def test_code_is_refused_unless_allowed(task):
    with pytest.raises(UserError, match="add --allow-code-execution"):
        task(allowed=False).check()
    task().check()


def test_limits_end_what_goes_beyond_them_and_nothing_else(task, monkeypatch):
    one = task()
    one.check()
    document = one.documents()[0]
    judge = CodeJudge("lm_eval:adding", one._path, one.settings, None, seconds=20)

    def score(code):
        verdict = judge.judge(document.id, [[code]])
        return None if verdict is None else verdict["passes", "none"]

    assert score(GOOD) == 1.0
    assert score("def add(a, b): return a - b") == 0.0
    assert score("print('loud')\n" + GOOD) == 1.0
    assert score("x = bytearray(8 * 2**30)\n" + GOOD) == 0.0  # more memory than there may be
    assert score("open('big', 'wb').write(bytes(64 * 2**20))\n" + GOOD) == 0.0
    assert score("open('small', 'wb').write(bytes(2**20))\n" + GOOD) == 1.0
    with socket.create_server(("127.0.0.1", 0)) as server:
        code = NETWORK.replace("PORT", str(server.getsockname()[1]))
        assert score(code) == 0.0
        here = {}
        exec(code, here)
        assert here["add"](2, 3) == 5  # it is the limit that kept it from connecting
    monkeypatch.setattr(judge, "_seconds", 1.0)
    assert score("while True: pass") is None
    monkeypatch.setattr(judge, "_seconds", 20)
    assert score("import os; os._exit(0)") is None
    assert score(GOOD) == 1.0


@pytest.mark.skipif(landlock_version() < 1, reason="this system has no Landlock, which keeps files from being written")
def test_files_elsewhere_are_read_only_and_processes_are_counted(task, tmp_path):
    one = task()
    one.check()
    judge = CodeJudge("lm_eval:adding", one._path, one.settings, None, seconds=60)
    kept = tmp_path / "kept"
    kept.write_text("2")
    document = one.documents()[0]

    def score(code):
        return judge.judge(document.id, [[code + "\n" + GOOD]])["passes", "none"]

    inside = (
        "import os, tempfile; os.mkdir('new'); open('new/file', 'w').write('x'); tempfile.TemporaryFile().write(b'x')"
    )
    assert score(inside) == 1.0
    assert score(f"assert open({str(kept)!r}).read() == '2'") == 1.0
    assert score("import multiprocessing; multiprocessing.Manager().list().append(1)") == 1.0
    assert score("import subprocess; subprocess.run(['true'], check=True, stdout=subprocess.DEVNULL)") == 1.0
    for harm in (
        f"open({str(tmp_path / 'new')!r}, 'w')",
        f"open({str(kept)!r}, 'a')",
        f"import os; os.remove({str(kept)!r})",
        f"import os; os.rename({str(kept)!r}, 'mine')",
        f"import os; os.mkdir({str(tmp_path / 'folder')!r})",
        f"import subprocess; subprocess.run(['sh', '-c', 'echo 3 > {kept}'], check=True, stderr=-3)",
    ):
        assert score(harm) == 0.0, harm
    assert kept.read_text() == "2"
    assert not {"new", "folder"} & {path.name for path in tmp_path.iterdir()}
    assert score("import resource; assert 0 < resource.getrlimit(resource.RLIMIT_NPROC)[0] < 2**20") == 1.0


def test_scores_are_those_of_the_task_and_a_lost_program_fails(task):
    one = task()
    first, second = one.documents()
    assert one.score(Sample(first, 0, Output(text=GOOD + "END nonsense")), {}) == {"passes": 1.0}
    assert one.score(Sample(second, 0, Output(text="import os; os._exit(0)")), {}) == {"passes": 0.0}
