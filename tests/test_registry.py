"""Names to entries: laziness, duplicates, plug-ins, and what is said of an unknown name."""

import subprocess
import sys
from importlib.metadata import EntryPoint

import pytest

from harness import registry as module
from harness.errors import UserError
from harness.registry import Registry
from harness.samplers import samplers


@pytest.fixture
def animals():
    return Registry("animal", "mdm_harness.test_animals")


def test_a_target_is_an_object_or_a_path_that_is_imported_on_load(animals):
    animals.add("decoder", "json:JSONDecoder", "reads")
    animals.register("len", "counts")(len)
    assert animals["len"].load() is len
    assert animals["decoder"].load().__name__ == "JSONDecoder"
    assert animals["decoder"].origin == "json"
    assert [entry.name for entry in animals] == ["decoder", "len"]
    assert "len" in animals
    assert "cow" not in animals


def test_a_duplicate_names_both_origins(animals):
    animals.add("cow", "barn.stable:Cow", None)
    with pytest.raises(
        UserError, match=r"animal 'cow' is registered twice: in barn\.stable and in .*test_registry\.py"
    ):

        @animals.register("cow", None)
        class Cow:
            pass

    assert animals["cow"].target == "barn.stable:Cow"


def test_an_unknown_name_suggests_a_close_one_or_lists_all(animals):
    animals.add("horse", "a:b", None)
    animals.add("cow", "a:b", None)
    with pytest.raises(UserError, match=r"unknown animal 'hrose'\. Did you mean 'horse'\?"):
        animals["hrose"]
    with pytest.raises(UserError, match=r"unknown animal 'zzz'\. Known: cow, horse"):
        animals["zzz"]
    with pytest.raises(UserError, match="Did you mean 'confidence'"):
        samplers["confidense"]


def test_plug_ins_are_loaded_once_when_the_registry_is_first_read(animals, monkeypatch, tmp_path):
    plugin = tmp_path / "farm_plugin.py"
    plugin.write_text("import test_registry_hook\ntest_registry_hook.animals.add('cow', 'a:b', None)\n")
    hook = type(sys)("test_registry_hook")
    hook.animals = animals
    monkeypatch.setitem(sys.modules, "test_registry_hook", hook)
    monkeypatch.syspath_prepend(str(tmp_path))
    asked = []

    def entry_points(group):
        asked.append(group)
        return [EntryPoint("farm", "farm_plugin", group)]

    monkeypatch.setattr(module, "entry_points", entry_points)
    assert "farm_plugin" not in sys.modules
    assert "cow" in animals
    assert [entry.name for entry in animals] == ["cow"]
    assert asked == ["mdm_harness.test_animals"]


def test_listing_samplers_and_models_imports_no_torch():
    code = (
        "import sys; from harness.samplers import samplers; from harness.models import models;"
        "names = [e.name + e.info.summary for r in (samplers, models) for e in r];"
        "sys.exit('torch' in sys.modules or len(names) < 10)"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_a_plug_in_that_cannot_be_imported_is_named(monkeypatch):
    class Broken:
        value = "somewhere.samplers"

        def load(self):
            raise ImportError("No module named 'somewhere'")

    monkeypatch.setattr(module, "entry_points", lambda group: [Broken()])
    registry = Registry("sampler", "mdm_harness.samplers")
    with pytest.raises(UserError, match=r"plug-in 'somewhere\.samplers'.*No module named 'somewhere'"):
        list(registry)
