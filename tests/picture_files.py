"""Small folders of pictures and questions in the layouts in which the field's data are published."""

import base64
import io
import json
from pathlib import Path

import numpy as np
from PIL import Image

from harness.picture import Drawn


def picture(colour=(200, 30, 30), size=(24, 16), mode="RGB"):
    """A picture of one colour, (height, width) `size`."""
    pixels = np.zeros((*size, 3), dtype=np.uint8)
    pixels[:] = colour
    return Image.fromarray(pixels).convert(mode)


def shown(pixels):
    """Pixels (H, W, 3) as a model is asked about them, equal to others of the same content."""
    return Drawn((pixels.shape, pixels.tobytes()), lambda: pixels)


def content(image, kind="PNG"):
    file = io.BytesIO()
    image.save(file, kind)
    return file.getvalue()


def write(path: Path, value):
    path.parent.mkdir(parents=True, exist_ok=True)
    if isinstance(value, bytes):
        path.write_bytes(value)
    else:
        path.write_text(value if isinstance(value, str) else json.dumps(value), encoding="utf-8")


def write_pope(folder: Path, rows=4):
    """`rows` questions of each category over two pictures."""
    names = [f"COCO_val2014_{number:012d}.jpg" for number in (42, 73)]
    for name, colour in zip(names, [(250, 0, 0), (0, 0, 250)], strict=True):
        write(folder / "pope" / "val2014" / name, content(picture(colour), "JPEG"))
    for category in ("random", "popular", "adversarial"):
        lines = [
            {"question_id": n, "image": names[n % 2], "text": f"Is there a {n}?", "label": ["yes", "no"][n % 2]}
            for n in range(rows)
        ]
        text = "".join(json.dumps(line) + "\n" for line in lines)
        write(folder / "pope" / f"coco_pope_{category}.json", json.dumps(lines) if category == "popular" else text)


def write_vqav2(folder: Path):
    questions = [{"question_id": 420, "image_id": 42, "question": "What colour?"}]
    answers = [{"answer": answer, "answer_id": n} for n, answer in enumerate(["red"] * 7 + ["dark red"] * 3)]
    write(folder / "vqav2" / "v2_OpenEnded_mscoco_val2014_questions.json", {"questions": questions})
    annotations = {"annotations": [{"question_id": 420, "answers": answers}]}
    write(folder / "vqav2" / "v2_mscoco_val2014_annotations.json", annotations)
    write(folder / "vqav2" / "val2014" / "COCO_val2014_000000000042.jpg", content(picture(), "JPEG"))


def write_gqa(folder: Path):
    rows = {"201": {"question": "Is it red?", "answer": "yes", "imageId": "n7"}}
    write(folder / "gqa" / "testdev_balanced_questions.json", rows)
    write(folder / "gqa" / "images" / "n7.jpg", content(picture(), "JPEG"))


SUBTASKS = [
    *("existence", "count", "position", "color", "posters", "celebrity", "scene", "landmark", "artwork", "OCR"),
    *("commonsense_reasoning", "numerical_calculation", "text_translation", "code_reasoning"),
]


def write_mme(folder: Path):
    """Two pictures in each subtask, in both of the release's layouts in turn."""
    for number, subtask in enumerate(SUBTASKS):
        for name in ("0001", "0002"):
            text = "Is it red? Please answer yes or no.\tYes\nIs it blue? Please answer yes or no.\tNo\n"
            inner = number % 2 == 0
            write(folder / "mme" / subtask / ("questions_answers_YN" if inner else "") / f"{name}.txt", text)
            write(folder / "mme" / subtask / ("images" if inner else "") / f"{name}.png", content(picture()))


def write_mmbench(folder: Path):
    """A question with its picture, one that has the first one's picture by number, and a rotation of the release."""
    image = base64.b64encode(content(picture())).decode()
    lines = [
        ["index", "question", "hint", "A", "B", "C", "D", "answer", "category", "image"],
        ["7", "Which colour?", "", "blue", "red", "green", "", "B", "colour", image],
        ["8", "How many?", "Count.", "one", "two", "", "", "A", "count", "7"],
        ["1000007", "Which colour?", "", "red", "green", "blue", "", "A", "colour", "7"],
    ]
    write(folder / "mmbench" / "MMBench_DEV_EN.tsv", "\n".join("\t".join(line) for line in lines) + "\n")


def write_coco_caption(folder: Path):
    captions = ["a red square on the wall", "the wall is red", "a picture of a red thing"]
    annotations = [{"image_id": 42, "id": n, "caption": caption} for n, caption in enumerate(captions)]
    annotations.append({"image_id": 73, "id": 9, "caption": "two dogs run over green grass"})
    images = [{"id": number, "file_name": f"{number:012d}.jpg"} for number in (42, 73)]
    rows = {"images": images, "annotations": annotations}
    write(folder / "coco_caption" / "annotations" / "captions_val2017.json", rows)
    for number in (42, 73):
        write(folder / "coco_caption" / "val2017" / f"{number:012d}.jpg", content(picture(), "JPEG"))


def write_copy(folder: Path, file: str, columns, images=()):
    """A .parquet file as a copy of a repository of the hub has it; the columns `images` hold pictures or None."""
    from datasets import Dataset
    from datasets import Image as Picture

    rows = Dataset.from_dict(columns)
    for name in images:
        rows = rows.cast_column(name, Picture())
    (folder / file).parent.mkdir(parents=True, exist_ok=True)
    rows.to_parquet(str(folder / file))


MMMU = {
    "id": ["validation_Art_1", "validation_Art_2", "validation_Math_1"],
    "question": ["Which <image 1>?", "Which of <image 1> and <image 2>?", "What is the length in <image 1>?"],
    "options": ["['a cat', 'two dogs']", "['a', 'b']", "[]"],
    "answer": ["B", "A", "12.5"],
    "question_type": ["multiple-choice", "multiple-choice", "open"],
}
MATHVISTA = {
    "pid": ["1", "2", "3"],
    "question": ["How long?", "Which?", "How many?"],
    "choices": [None, ["the red one", "the blue one"], None],
    "unit": ["cm", None, None],
    "precision": [1.0, None, None],
    "answer": ["2.5", "the blue one", "4"],
    "question_type": ["free_form", "multi_choice", "free_form"],
    "answer_type": ["float", "text", "integer"],
}


def write_mmmu(folder: Path):
    images = [picture(), picture(), picture((0, 250, 0))]
    columns = {**MMMU, "image_1": images, "image_2": [None, picture(), None]}
    write_copy(folder, "mmmu/data/validation-00000-of-00001.parquet", columns, ["image_1", "image_2"])


def write_mathvista(folder: Path):
    columns = {**MATHVISTA, "image": ["images/1.jpg"] * 3, "decoded_image": [picture()] * 3}
    write_copy(folder, "mathvista/data/testmini-00000-of-00001.parquet", columns, ["decoded_image"])


def write_gqa_copy(folder: Path):
    instructions = {
        "id": ["201", "202"],
        "imageId": ["n7", "n7"],
        "question": ["Is it red?"] * 2,
        "answer": ["yes"] * 2,
    }
    write_copy(folder, "gqa/testdev_balanced_instructions/testdev-00000-of-00001.parquet", instructions)
    images = {"id": ["n3", "n7"], "image": [picture((0, 250, 0)), picture()]}
    write_copy(folder, "gqa/testdev_balanced_images/testdev-00000-of-00001.parquet", images, ["image"])
