"""The tasks about pictures on small folders in the published layouts: documents, requests, scores, and bad data."""

import json
import shutil

import numpy as np
import picture_files as files
import pytest

from harness.catalogue import Catalogue
from harness.errors import UserError
from harness.spec import TaskSpec
from harness.task import Document, Output, Sample

WRITERS = {
    "pope": files.write_pope,
    "vqav2": files.write_vqav2,
    "gqa": files.write_gqa,
    "mme": files.write_mme,
    "mmbench": files.write_mmbench,
    "mmmu": files.write_mmmu,
    "mathvista": files.write_mathvista,
    "coco_caption": files.write_coco_caption,
}
COUNTS = {"pope": 12, "vqav2": 1, "gqa": 1, "mme": 56, "mmbench": 2, "mmmu": 2, "mathvista": 3, "coco_caption": 2}


def make(name, folder, protocol=None, **settings):
    task = Catalogue().task(TaskSpec(name=name, args=settings), str(folder), None)
    task.protocol = protocol or ("plain" if name == "coco_caption" else task.protocol)
    return task


def check(name, folder):
    task = make(name, folder)
    task.check()
    task.check_requests(task.documents())


def sample(document, text, index=0):
    return Sample(document, index, Output(text=text))


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("pictures")
    for write in WRITERS.values():
        write(folder)
    return folder


@pytest.mark.parametrize("name", WRITERS)
def test_documents_and_requests(name, folder):
    task = make(name, folder)
    check(name, folder)
    documents = task.documents()
    assert len(documents) == COUNTS[name]
    assert len({document.id for document in documents}) == len(documents)
    for document in documents:
        assert json.loads(json.dumps(document.data)) == document.data
        request = task.request(document)
        assert request.image.size() == (24, 16)
        assert request.image.pixels().shape == (24, 16, 3)
        assert request.image.pixels().dtype == np.uint8
        assert request.length == {"coco_caption": 64, "mathvista": 256}.get(name, 16)


@pytest.mark.parametrize("name", sorted(set(WRITERS) - {"mathvista", "coco_caption"}))
def test_the_long_form_asks_for_reasons_and_reads_the_conclusion(name, folder):
    short, long = make(name, folder), make(name, folder, form="long")
    document = long.documents()[0]
    assert long.request(document).length == 256
    assert long.request(document).prompt.startswith(short.question(document))
    assert "Answer:" in long.request(document).prompt
    assert "Answer:" not in short.request(document).prompt
    unread = long.score(sample(document, "There is a square on a wall."), {})
    assert unread["accuracy"] == 0
    assert unread.get("no_answer", unread.get("unread")) is True


def test_pope(folder):
    task = make("pope", folder)
    adversarial = make("pope", folder, category="adversarial").documents()
    assert [document.id for document in adversarial] == [f"adversarial-{n}" for n in range(4)]
    assert {document.cluster for document in adversarial} == {
        "COCO_val2014_000000000042.jpg",
        "COCO_val2014_000000000073.jpg",
    }
    yes, no = adversarial[:2]
    assert task.request(yes).image.pixels()[0, 0, 0] > 240
    assert task.request(yes).prompt == "Is there a 0?\nAnswer the question using a single word or phrase."
    assert task.score(sample(yes, "Yes, there is a 0."), {}) == {"accuracy": True, "no_answer": False}
    assert make("pope", folder, "word").score(sample(yes, "Yes."), {}) == {"accuracy": False, "no_answer": True}
    found = task.aggregate([sample(yes, "yes"), sample(no, "yes")], {})
    assert (found["precision"].value, found["recall"].value, found["yes_ratio"].value) == (0.5, 1, 1)
    long = make("pope", folder, form="long")
    assert long.score(sample(no, "I see no dog. Answer: No"), {})["accuracy"] is True


def test_vqav2_has_the_annotators_agree(folder):
    task = make("vqav2", folder)
    (document,) = task.documents()
    assert task.score(sample(document, "Red."), {})["accuracy"] == 1
    assert task.score(sample(document, "dark red"), {})["accuracy"] == pytest.approx(0.9)


def test_gqa_is_exact_but_for_case_and_full_stop(folder):
    task = make("gqa", folder)
    (document,) = task.documents()
    assert [task.score(sample(document, text), {})["accuracy"] for text in ("Yes.", " yes", "yes it is")] == [1, 1, 0]


def test_gqa_in_a_copy_of_the_hub(tmp_path):
    files.write_gqa_copy(tmp_path)
    task = make("gqa", tmp_path)
    task.check()
    assert [(document.id, document.cluster) for document in task.documents()] == [("201", "n7"), ("202", "n7")]
    assert task.request(task.documents()[0]).image.pixels()[0, 0].tolist() == [200, 30, 30]


def test_mme_scores_two_for_a_picture(folder):
    task = make("mme", folder)
    documents = task.documents()
    assert task.request(documents[0]).prompt.startswith("Is it red?\nAnswer")
    assert {document.stratum for document in documents} == set(files.SUBTASKS)
    # All questions right: 200 points a subtask.
    right = [sample(document, document.data["answer"]) for document in documents]
    found = task.aggregate(right, {})
    assert (found["perception"].value, found["cognition"].value, found["accuracy_plus"].value) == (2000, 800, 1)
    # Always yes: half of the questions, and no picture.
    yes = task.aggregate([sample(document, "Yes") for document in documents], {})
    assert (yes["perception"].value, yes["cognition"].value, yes["accuracy_plus"].value) == (500, 200, 0)
    # One question alone is no pair.
    assert task.aggregate(right[:1], {}) == {}


def test_mmbench_rotates_the_options(folder):
    task = make("mmbench", folder, circular=True)
    documents = task.documents()
    assert [document.id for document in documents] == ["7", "1000007", "2000007", "8", "1000008"]
    assert [document.data["options"][document.data["answer"]] for document in documents] == ["red"] * 3 + ["one"] * 2
    assert documents[1].data["options"] == {"A": "red", "B": "green", "C": "blue"}
    assert task.request(documents[3]).prompt.startswith("Count.\nHow many?\nA. one\nB. two\nAnswer with")
    always_a = [sample(document, "A") for document in documents]
    assert task.aggregate(always_a, {})["circular"].value == 0
    right = [sample(document, f"The answer is {document.data['answer']}.") for document in documents]
    assert task.aggregate(right, {})["circular"].value == 1
    assert task.score(sample(documents[0], "neither"), {}) == {"accuracy": False, "unread": True}


def test_mmmu_reads_letters_and_open_answers(folder):
    task = make("mmmu", folder)
    choice, open_ = task.documents()
    assert choice.id == "validation_Art_1"
    assert (choice.stratum, open_.stratum) == ("Art", "Math")
    assert task.request(choice).prompt.endswith(
        "A. a cat\nB. two dogs\n\nAnswer with the option's letter from the given choices directly."
    )
    assert task.score(sample(choice, "(B)"), {}) == {"accuracy": True, "unread": False}
    assert task.score(sample(choice, "I cannot see"), {}) == {"accuracy": False, "unread": True}
    assert task.score(sample(open_, "The length is 12.50"), {})["accuracy"] is True
    official = make("mmmu", folder, "official")
    drawn = [official.score(sample(choice, "I cannot see", index), {}) for index in range(64)]
    assert drawn == [official.score(sample(choice, "I cannot see", index), {}) for index in range(64)]
    assert 16 < sum(one["accuracy"] for one in drawn) < 48
    assert all(one["unread"] for one in drawn)


@pytest.mark.parametrize(
    ("number", "text", "right"),
    [
        (0, "It is so. Answer: 2.46 cm", True),
        (0, "Answer: 2.4", False),
        (0, "Answer: long", None),
        (1, "Answer: (B) the blue one", True),
        (1, "Answer: The red one", False),
        (1, "Answer: neither", None),
        (2, "Answer: 4.0", True),
        (2, "four", None),
    ],
)
def test_mathvista_normalises_the_conclusion(folder, number, text, right):
    task = make("mathvista", folder)
    assert task.score(sample(task.documents()[number], text), {}) == {
        "accuracy": right is True,
        "unread": right is None,
    }


def test_cider_of_captions(folder):
    task = make("coco_caption", folder)
    red, dogs = task.documents()
    own = task.aggregate([sample(red, "The wall is red."), sample(dogs, "two dogs run over green grass")], {})
    other = task.aggregate([sample(red, "two dogs run over green grass"), sample(dogs, "The wall is red.")], {})
    assert own["cider"].value > 3
    assert other["cider"].value == pytest.approx(0, abs=1e-9)
    assert np.mean(own["cider"].parts) == pytest.approx(own["cider"].value)


@pytest.mark.skipif(shutil.which("java") is None, reason="the official tokeniser needs Java")
def test_ciders_official_tokeniser_agrees_on_plain_captions(folder):
    plain, official = make("coco_caption", folder), make("coco_caption", folder, "ptb")
    official.check()
    captions = [sample(document, "A red thing, on a wall") for document in plain.documents()]
    assert official.aggregate(captions, {})["cider"].value == pytest.approx(
        plain.aggregate(captions, {})["cider"].value
    )


def test_without_java_the_official_tokeniser_is_refused(folder, monkeypatch):
    monkeypatch.setattr(shutil, "which", lambda name: None)
    with pytest.raises(UserError, match="protocol `plain`"):
        make("coco_caption", folder, "ptb").check()


class TestBadData:
    def test_missing_pictures_are_named(self, tmp_path):
        files.write_pope(tmp_path)
        (tmp_path / "pope" / "val2014" / "COCO_val2014_000000000073.jpg").unlink()
        with pytest.raises(
            UserError, match=r"task pope: 1 of 2 pictures .*\n.* random-1: COCO_val2014_000000000073\.jpg is not in "
        ):
            check("pope", tmp_path)

    def test_a_broken_picture_is_named(self, tmp_path):
        files.write_gqa(tmp_path)
        (tmp_path / "gqa" / "images" / "n7.jpg").write_bytes(b"\xff\xd8 no picture")
        with pytest.raises(
            UserError, match=r"document 201: .*n7\.jpg: cannot be read as a picture \(it is none in JPEG"
        ):
            check("gqa", tmp_path)

    def test_a_picture_that_ends_early_is_named_when_it_is_opened(self, tmp_path):
        files.write_gqa(tmp_path)
        path = tmp_path / "gqa" / "images" / "n7.jpg"
        path.write_bytes(files.content(files.picture(size=(300, 400)), "JPEG")[:-200])
        check("gqa", tmp_path)
        task = make("gqa", tmp_path)
        with pytest.raises(UserError, match=r"n7\.jpg: cannot be read as a picture \(image file is truncated"):
            task.request(task.documents()[0]).image.pixels()

    def test_the_first_few_of_many_are_named(self, tmp_path):
        files.write_mme(tmp_path)
        for path in (tmp_path / "mme").glob("**/0002.png"):
            path.write_bytes(b"")
        with pytest.raises(UserError, match=r"14 of 28 pictures") as told:
            check("mme", tmp_path)
        assert str(told.value).count("cannot be read as a picture") == 5
        assert str(told.value).endswith("and 9 more")

    def test_only_the_pictures_that_are_asked_about_are_needed(self, tmp_path):
        files.write_pope(tmp_path)
        (tmp_path / "pope" / "val2014" / "COCO_val2014_000000000073.jpg").unlink()
        task = make("pope", tmp_path)
        task.check_requests(task.documents()[:1])

    @pytest.mark.parametrize(
        ("cell", "says"),
        [
            (b"no picture", "row 1, column 'image_1': cannot be read as a picture"),
            (None, "row 1, column 'image_1': there is no picture"),
        ],
    )
    def test_a_broken_picture_of_a_dataset(self, tmp_path, cell, says):
        images = [{"bytes": files.content(files.picture()), "path": None}, {"bytes": cell, "path": None}] * 2
        columns = {**files.MMMU, "image_1": [images[0], images[2], images[1]]}
        files.write_copy(tmp_path, "mmmu/data/validation-00000-of-00001.parquet", columns, ["image_1"])
        with pytest.raises(UserError, match=says.replace("row 1", "row 2")):
            check("mmmu", tmp_path)

    def test_a_picture_that_is_not_base64(self, tmp_path):
        files.write_mmbench(tmp_path)
        path = tmp_path / "mmbench" / "MMBench_DEV_EN.tsv"
        path.write_text(path.read_text().replace("iVBOR", "i?BOR"))
        with pytest.raises(UserError, match=r"document 7: .*picture of row 7 is not base64"):
            check("mmbench", tmp_path)

    def test_a_name_cannot_lead_out_of_the_folder(self, tmp_path):
        files.write_gqa(tmp_path)
        files.write(tmp_path / "gqa" / "secret.jpg", files.content(files.picture(), "JPEG"))
        rows = {"1": {"question": "?", "answer": "yes", "imageId": "../secret"}}
        files.write(tmp_path / "gqa" / "testdev_balanced_questions.json", rows)
        with pytest.raises(UserError, match=r"1 of 1 pictures .*\n.*\.\./secret\.jpg is not in"):
            check("gqa", tmp_path)

    def test_a_question_twice(self, tmp_path):
        files.write_pope(tmp_path)
        path = tmp_path / "pope" / "coco_pope_random.json"
        path.write_text(path.read_text() * 2)
        with pytest.raises(UserError, match=r"line 5: question random-0 occurs twice"):
            make("pope", tmp_path).check()

    def test_a_wrong_column(self, tmp_path):
        files.write_gqa(tmp_path)
        rows = {"1": {"question": "?", "answers": "yes", "imageId": "n7"}}
        files.write(tmp_path / "gqa" / "testdev_balanced_questions.json", rows)
        with pytest.raises(UserError, match=r"question 1: `answer` must be a text, found None.*'answers'"):
            make("gqa", tmp_path).check()

    @pytest.mark.parametrize(
        ("task", "write", "file", "old", "new", "told"),
        [
            ("pope", files.write_pope, "coco_pope_random.json", '"label"', '"labels"',
             r"line 1: `label` must be a text, found None.*'labels'"),
            ("mmbench", files.write_mmbench, "MMBench_DEV_EN.tsv", "\tB\tcolour", "\tE\tcolour",
             r"row 1: the answer must be one of A, B, C, found 'E'"),
        ],
    )  # fmt: skip
    def test_a_wrong_published_file(self, task, write, file, old, new, told, tmp_path):
        write(tmp_path)
        path = tmp_path / task / file
        path.write_text(path.read_text().replace(old, new))
        with pytest.raises(UserError, match=told):
            make(task, tmp_path).check()

    def test_a_copy_without_the_column_of_pictures(self, tmp_path):
        files.write_copy(tmp_path, "mmmu/data/validation-00000-of-00001.parquet", files.MMMU)
        with pytest.raises(UserError, match=r"has no column 'image_1', but id, question"):
            make("mmmu", tmp_path).check()

    def test_no_data(self, tmp_path):
        with pytest.raises(UserError, match=r"its data are not in .*; or a copy of the repository lmms-lab/MME"):
            make("mme", tmp_path).check()

    @pytest.mark.parametrize(
        ("name", "settings", "says"),
        [
            ("pope", {"form": "lang"}, r"form is 'lang'. Did you mean 'long'"),
            ("pope", {"category": "popula"}, r"Did you mean 'popular'"),
            ("mathvista", {"form": "short"}, "only 'long' makes sense"),
        ],
    )
    def test_unknown_settings(self, folder, name, settings, says):
        with pytest.raises(UserError, match=says):
            make(name, folder, **settings).check()


@pytest.mark.parametrize(
    ("mode", "kind"), [("L", "PNG"), ("P", "PNG"), ("RGBA", "PNG"), ("CMYK", "JPEG"), ("RGB", "WEBP")]
)
def test_every_mode_of_picture_becomes_rgb(tmp_path, mode, kind):
    files.write_gqa(tmp_path)
    files.write(tmp_path / "gqa" / "images" / "n7.jpg", files.content(files.picture((51, 102, 153), mode=mode), kind))
    task = make("gqa", tmp_path)
    image = task.request(task.documents()[0]).image.pixels()
    assert image.shape == (24, 16, 3)
    assert np.abs(image.astype(int) - (93 if mode == "L" else np.array([51, 102, 153]))).max() <= 8


def test_a_text_is_needed(folder):
    task = make("vqav2", folder)
    with pytest.raises(UserError, match="the model's output has none"):
        task.score(Sample(Document("x", {"answers": ["a"]}), 0, Output()), {})


def test_questions_about_one_picture_ask_about_the_same(folder):
    task = make("pope", folder, category="random")
    first, other, again, _ = (task.request(document).image for document in task.documents())
    assert first == again != other
    assert hash(first) == hash(again)


def test_rows_of_a_dataset_with_one_picture_ask_about_the_same(folder):
    task = make("mathvista", folder)
    assert len({task.request(document).image for document in task.documents()}) == 1


def test_scores_need_no_pictures(folder, tmp_path):
    files.write_pope(tmp_path)
    shutil.rmtree(tmp_path / "pope" / "val2014")
    task = make("pope", tmp_path)
    task.check()
    assert task.score(sample(task.documents()[0], "Yes"), {})["accuracy"] is True
