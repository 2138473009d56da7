"""Images that a text file lists: every form of line, every error with its line number, memory and workers."""

import pickle
import struct
import sys
import tracemalloc
import warnings
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
import torch
from PIL import Image, ImageOps
from torchvision.transforms import v2

from course_utils import ImageDataset, ImageTxtDataset, make_loader
from course_utils.image_files import ORIENTATION


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Four images of 5x4 pixels: red, green, blue and grey."""
    for number, colour in enumerate([(255, 0, 0), (0, 255, 0), (0, 0, 255), (51, 51, 51)]):
        Image.new("RGB", (5, 4), colour).save(tmp_path / f"{number}.png")
    return tmp_path


def opened(folder: Path, text: str | bytes, **options: Any) -> ImageTxtDataset:
    (folder / "list.txt").write_bytes(text.encode() if isinstance(text, str) else text)
    return ImageTxtDataset(folder / "list.txt", **options)


def rows(dataset: ImageTxtDataset) -> list[tuple[str, int]]:
    return [(dataset.path(i).relative_to(dataset.root).as_posix(), int(dataset.labels[i])) for i in range(len(dataset))]


# Lines


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (b"a.png 0\nb.png 12\n", [("a.png", 0), ("b.png", 12)]),
        (b"a.png 0\nb.png 1", [("a.png", 0), ("b.png", 1)]),
        (b"a.png 3\r\nb.png 1\r\n", [("a.png", 3), ("b.png", 1)]),
        (b"\xef\xbb\xbfa.png 3\n", [("a.png", 3)]),
        (b"my photos/a 1.png 3\n", [("my photos/a 1.png", 3)]),
        (b"\"my photos/a 1.png\" 3\n'b.png' 4\n", [("my photos/a 1.png", 3), ("b.png", 4)]),
        (b"a.png\t3\nb.png,4\nc.png , 5\n", [("a.png", 3), ("b.png", 4), ("c.png", 5)]),
        (b"a,b.png,4\n", [("a,b.png", 4)]),
        (b"  a.png   3  \n\t\n\n# b.png 4\n  # c\nd.png 5\n", [("a.png", 3), ("d.png", 5)]),
        (b"photo #2.png 3\n", [("photo #2.png", 3)]),
        ("grün/日本 1.png 3\n".encode(), [("grün/日本 1.png", 3)]),
        (b"a.png 007\nb.png 999999999\n", [("a.png", 7), ("b.png", 999999999)]),
        (b"it's.png 3\n", [("it's.png", 3)]),
    ],
)
def test_forms_of_lines(tmp_path: Path, text: bytes, expected: list[tuple[str, int]]) -> None:
    assert rows(opened(tmp_path, text)) == expected


def test_a_longer_list(tmp_path: Path) -> None:
    text = b"\xef\xbb\xbf# c\r\n" + b"".join(b"folder %d/%d.png %d\r\n\n" % (i % 3, i * 37, i % 11) for i in range(60))
    text += b"oops\n" + b"x" * 100 + b" 3\nlast 7"
    wanted = [(f"folder {i % 3}/{i * 37}.png", i % 11) for i in range(60)] + [("x" * 100, 3), ("last", 7)]
    with pytest.warns(UserWarning, match="1 of 63"):
        dataset = opened(tmp_path, text, on_error="skip")
    assert rows(dataset) == wanted
    assert "line 122: 'oops'" in dataset.problems[0]


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("b.png", "'b.png' is not a path, a space and a class number"),
        ("b.png three", "'b.png three' is not a path"),
        ("b.png -1", "'b.png -1' is not a path"),
        ("b.png 1.5", "'b.png 1.5' is not"),
        ("b.png 1234567890", "is not a path"),
        ("7", "'7' is not a path"),
        (",,, 7", "is not a path"),
        ('"" 4', "is not a path"),
        ('"b c.png 4', "the quote that begins '\"b c.png 4' does not end"),
        ("b.png 5", "the class 5 is none of the 5 classes from 0 to 4"),
        ("b.png 3  # blurred", "is not a path"),
        ("b.png 3\rc.png 4", "is not a path"),
    ],
)
def test_a_bad_line_is_named(tmp_path: Path, line: str, said: str) -> None:
    with pytest.raises(
        ValueError, match=r"list\.txt, line 3: .*: correct the line, or pass on_error='skip'\.$"
    ) as error:
        opened(tmp_path, f"a.png 0\n# comment\n{line}\nc.png 1\n", num_classes=5)
    assert said in str(error.value)


def test_lists_that_are_none(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match=r"There is no list .*nowhere\.txt: give the text file"):
        ImageTxtDataset(tmp_path / "nowhere.txt")
    for text in ("", "\n\n# nothing\n"):
        with pytest.raises(ValueError, match=r"list\.txt lists no image: write lines like"):
            opened(tmp_path, text)
    with pytest.raises(ValueError, match=r"is not text in UTF-8 \(UTF-16, .*: save it in UTF-8"):
        opened(tmp_path, "a.png 3\n".encode("utf-16"))
    with pytest.raises(ValueError, match=r"lists no image, the first because of .*line 1: 'oops'"):
        opened(tmp_path, "oops\n", on_error="skip")


@pytest.mark.parametrize(
    "options", [{"mode": "CMYK"}, {"check": "all"}, {"on_error": "ignore"}, {"num_classes": 0}], ids=str
)
def test_arguments_out_of_range(folder: Path, options: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=f"^{next(iter(options))} is "):
        opened(folder, "0.png 0\n", **options)


# Images


def test_items(folder: Path) -> None:
    dataset = opened(folder, "0.png 4\n3.png 1\n")
    image, label = dataset[0]
    assert (image.shape, image.dtype, label, type(label)) == ((3, 4, 5), torch.float32, 4, int)
    assert image[:, 0, 0].tolist() == [1, 0, 0]
    assert dataset[1][0].unique().tolist() == [pytest.approx(0.2)]
    assert dataset.read(1).dtype == torch.uint8
    assert (len(dataset), dataset.labels.tolist(), dataset.problems) == (2, [4, 1], ())
    assert [label for _, label in dataset] == [4, 1]


def test_an_item_is_that_of_image_dataset(folder: Path) -> None:
    mean, std = (0.1, 0.2, 0.3), (0.4, 0.5, 0.6)
    files = opened(folder, "2.png 4\n3.png 1\n", transform=v2.Normalize(mean, std))
    memory = ImageDataset(torch.stack([files.read(i) for i in range(2)]), files.labels, mean=mean, std=std)
    for i in range(2):
        assert torch.equal(files[i][0], memory[i][0])


def test_root_and_absolute_paths(folder: Path, tmp_path_factory: pytest.TempPathFactory) -> None:
    elsewhere = tmp_path_factory.mktemp("lists")
    assert opened(elsewhere, "1.png 0\n", root=folder)[0][0][:, 0, 0].tolist() == [0, 1, 0]
    assert opened(elsewhere, f"{folder / '2.png'} 0\n")[0][0][:, 0, 0].tolist() == [0, 0, 1]


def test_grey_palette_and_transparent_images(folder: Path) -> None:
    Image.new("L", (2, 2), 102).save(folder / "grey.png")
    Image.new("1", (2, 2), 1).save(folder / "bits.png")
    Image.new("RGBA", (2, 2), (255, 0, 51, 0)).save(folder / "clear.png")
    palette = Image.new("RGB", (2, 2), (0, 255, 0)).convert("P")
    palette.save(folder / "palette.png", transparency=bytes([0] * 256))
    text = "grey.png 0\nbits.png 0\nclear.png 0\npalette.png 0\n"
    colours = [dataset_image[:, 0, 0].tolist() for dataset_image, _ in opened(folder, text)]
    assert colours == [pytest.approx(c) for c in ([0.4] * 3, [1] * 3, [1, 0, 0.2], [0, 1, 0])]
    grey = opened(folder, "3.png 0\ngrey.png 0\n", mode="L")
    assert grey[0][0].shape == (1, 4, 5)
    assert grey.read(1).tolist() == [[[102, 102], [102, 102]]]


def test_photographs_are_turned_upright(folder: Path) -> None:
    image = Image.new("RGB", (6, 2))
    image.putpixel((0, 0), (255, 255, 255))
    exif = Image.Exif()
    exif[0x0112] = 6  # the camera was held so that the first row is the right side
    image.save(folder / "phone.png", exif=exif)
    pixels = opened(folder, "phone.png 0\n").read(0)
    assert pixels.shape == (3, 6, 2)
    assert pixels[0].nonzero().tolist() == [[0, 1]]


def test_bad_images_are_named(folder: Path) -> None:
    noise = np.random.default_rng(0).integers(0, 256, (40, 40, 3), dtype=np.uint8)
    Image.fromarray(noise).save(folder / "whole.png")
    (folder / "half.png").write_bytes((folder / "whole.png").read_bytes()[:2000])
    (folder / "text.png").write_text("not found")
    (folder / "empty.png").write_bytes(b"")
    cv2.imwrite(str(folder / "deep_colour.png"), np.full((4, 4, 3), 4000, dtype=np.uint16))
    Image.fromarray(np.full((4, 4), 40000, dtype=np.uint16)).save(folder / "deep.png")
    names = ("half.png", "text.png", "empty.png", "deep.png", "deep_colour.png", "folder")
    (folder / "folder").mkdir()
    dataset = opened(folder, "0.png 0\n\n" + "".join(f"{name} 1\n" for name in names))
    for index, name in enumerate(names, start=1):
        with pytest.raises(ValueError, match=rf"list\.txt, line {index + 2}: the image .*{name} cannot be read \(.+\)"):
            dataset[index]
    for index in (4, 5):
        with pytest.raises(ValueError, match="more than 8 bits"):
            dataset[index]


@pytest.mark.parametrize("orientation", range(1, 9))
def test_every_orientation_in_every_kind_of_file(folder: Path, orientation: int) -> None:
    picture = Image.fromarray(np.arange(6 * 4, dtype=np.uint8).reshape(4, 6) * 10)
    exif = Image.Exif()
    exif[ORIENTATION] = orientation
    expected = np.array(ImageOps.exif_transpose(with_exif(folder / "it.png", picture, exif)))
    for suffix in ("png", "tiff", "webp"):
        with_exif(folder / f"it.{suffix}", picture, exif)
        assert np.array_equal(opened(folder, f"it.{suffix} 0\n", mode="L").read(0)[0].numpy(), expected), suffix


def with_exif(path: Path, picture: Image.Image, exif: Image.Exif) -> Image.Image:
    picture.save(path, exif=exif, **({"lossless": True} if path.suffix == ".webp" else {}))
    return Image.open(path)


def test_missing_files_are_named(folder: Path) -> None:
    dataset = opened(folder, "0.png 0\nnowhere/1.png 1\nsub\\2.png 1\n")
    with pytest.raises(
        FileNotFoundError, match=r"list\.txt, line 2: there is no file .*nowhere.1\.png: correct the line"
    ):
        dataset[1]
    if sys.platform != "win32":
        with pytest.raises(FileNotFoundError, match=r"line 3: .*write / in place of"):
            dataset[2]


@pytest.mark.parametrize("error", [struct.error, KeyError, MemoryError])
def test_whatever_pillow_raises_is_a_bad_image_unless_the_memory_is_full(
    folder: Path, error: type[Exception], monkeypatch: pytest.MonkeyPatch
) -> None:
    def fails(path: Path) -> None:
        raise error("odd")

    dataset = opened(folder, "0.png 0")
    monkeypatch.setattr(Image, "open", fails)
    with pytest.raises(MemoryError if error is MemoryError else ValueError, match="odd"):
        dataset.read(0)


def test_a_failing_disk_is_not_a_bad_image(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Else its lines would be left out one by one."""

    def fails(path: Path) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(Image, "open", fails)
    with pytest.raises(OSError, match=r"line 1: the image .* cannot be read .*Permission denied"):
        opened(folder, "0.png 0\n", check="images", on_error="skip")


# Checks at the start, and lines that are left out


def test_what_each_check_finds(folder: Path) -> None:
    (folder / "text.png").write_text("not an image")
    text = "0.png 0\nnowhere.png 1\ntext.png 2\n3.png 1\n"
    assert len(opened(folder, text)) == 4
    with pytest.raises(FileNotFoundError, match=r"line 2: there is no file"):
        opened(folder, text, check="files")
    with pytest.raises(FileNotFoundError, match="line 2"):
        opened(folder, text, check="images")
    for check, left, lines in (("files", 3, [2]), ("images", 2, [2, 3])):
        with pytest.warns(UserWarning, match=rf"{4 - left} of 4 images are left out \(.*line 2.*problems lists them"):
            dataset = opened(folder, text, check=check, on_error="skip")
        assert len(dataset) == left
        assert [int(problem.split("line ")[1].split(":")[0]) for problem in dataset.problems] == lines
    assert [dataset[i][1] for i in range(2)] == [0, 1]
    assert rows(dataset) == [("0.png", 0), ("3.png", 1)]


def test_problems_of_all_kinds_come_in_the_order_of_the_list(folder: Path) -> None:
    with pytest.warns(UserWarning, match="3 of 4"):
        dataset = opened(
            folder, "nowhere.png 0\noops\n1.png 9\n1.png 1\n", num_classes=5, check="files", on_error="skip"
        )
    assert [problem.split("line ")[1][0] for problem in dataset.problems] == ["1", "2", "3"]
    assert rows(dataset) == [("1.png", 1)]


def test_nothing_is_said_of_a_good_list(folder: Path) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert len(opened(folder, "0.png 0\n", check="images", on_error="skip")) == 1


def test_a_line_number_survives_skipping(folder: Path) -> None:
    with pytest.warns(UserWarning, match="1 of 3"):
        dataset = opened(folder, "oops\n0.png 0\nnowhere.png 1\n", on_error="skip")
    with pytest.raises(FileNotFoundError, match="line 3"):
        dataset[1]


# Long lists and workers


def test_memory_is_the_text_and_a_table(tmp_path: Path) -> None:
    lines = 200_000
    text = "".join(f"train/class_{i % 100:04d}/image_{i:08d}.jpg {i % 100}\n" for i in range(lines)).encode()
    tracemalloc.start()
    dataset = opened(tmp_path, text)
    kept, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    table = len(text) + 28 * lines
    assert len(dataset) == lines
    assert kept < table + 100_000
    assert peak < table + 40 * lines  # the table is built beside the text, and once more as arrays
    assert rows_at(dataset, lines - 1) == ("train/class_0099/image_00199999.jpg", 99)


def rows_at(dataset: ImageTxtDataset, index: int) -> tuple[str, int]:
    return dataset.path(index).relative_to(dataset.root).as_posix(), int(dataset.labels[index])


def test_workers_and_pickling(folder: Path) -> None:
    dataset = opened(folder, "".join(f"{i % 4}.png {i % 4}\n" for i in range(10)), transform=v2.Normalize([0.5], [0.5]))
    again = pickle.loads(pickle.dumps(dataset))
    assert torch.equal(again[3][0], dataset[3][0])
    alone = list(make_loader(dataset, batch_size=4, shuffle=True))
    with_workers = list(make_loader(dataset, batch_size=4, shuffle=True, num_workers=2))
    for (images, labels), (others, other_labels) in zip(alone, with_workers, strict=True):
        assert torch.equal(images, others)
        assert torch.equal(labels, other_labels)
