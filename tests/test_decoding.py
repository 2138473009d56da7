"""Image files decoded once: the same bytes, in parallel, kept in a file that follows its sources."""

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from course_utils import ImageDataset, ImageTxtDataset
from course_utils import decoding as module
from course_utils.decoding import decode_images


@pytest.fixture
def files(tmp_path: Path) -> ImageTxtDataset:
    """Seventy colour images of 5 x 7 pixels, in three messages of a worker."""
    rng = np.random.default_rng(0)
    for number in range(70):
        Image.fromarray(rng.integers(0, 256, (5, 7, 3), dtype=np.uint8)).save(tmp_path / f"{number}.png")
    (tmp_path / "list.txt").write_text("".join(f"{number}.png {number % 3}\n" for number in range(70)))
    return ImageTxtDataset(tmp_path / "list.txt")


def one_by_one(files: ImageTxtDataset) -> torch.Tensor:
    return torch.stack([files.read(index) for index in range(len(files))])


def counting_reads(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    reads: list[int] = []
    read = ImageTxtDataset.read

    def counted(self: ImageTxtDataset, index: int, size: tuple[int, int] | None = None) -> torch.Tensor:
        reads.append(index)
        return read(self, index, size)

    monkeypatch.setattr(ImageTxtDataset, "read", counted)
    return reads


@pytest.mark.parametrize("workers", [None, 0, 2])
def test_the_bytes_of_the_files_in_their_order(files: ImageTxtDataset, tmp_path: Path, workers: int | None) -> None:
    expected = one_by_one(files)
    assert torch.equal(decode_images(files, num_workers=workers), expected)
    assert torch.equal(decode_images(files, num_workers=workers, cache=tmp_path / "new" / "cache"), expected)


def test_workers_by_default_where_there_are_many(files: ImageTxtDataset, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "FEW", 70 * 5 * 7 * 3)
    expected, reads = one_by_one(files), counting_reads(monkeypatch)
    assert torch.equal(decode_images(files), expected)
    assert reads == ([0] if sys.platform == "linux" else [0, *range(70)])


def test_no_random_number_is_drawn(files: ImageTxtDataset) -> None:
    before = torch.get_rng_state()
    decode_images(files)
    assert torch.equal(torch.get_rng_state(), before)


def test_a_size_for_all(files: ImageTxtDataset, tmp_path: Path) -> None:
    Image.new("RGB", (40, 30), (200, 100, 0)).save(tmp_path / "33.png")
    with pytest.raises(
        ValueError, match=r"list\.txt, line 34: the image has 30 x 40 pixels, the first one 5 x 7: give a"
    ):
        decode_images(files)
    images = decode_images(files, size=(4, 6))
    assert images.shape == (70, 3, 4, 6)
    assert images[33].flatten(1).unique(dim=1).squeeze().tolist() == [200, 100, 0]
    with Image.open(tmp_path / "7.png") as image:
        expected = np.array(image.resize((6, 4), Image.Resampling.BILINEAR))
    assert torch.equal(images[7], torch.from_numpy(expected).permute(2, 0, 1))


def test_a_size_that_is_none(files: ImageTxtDataset) -> None:
    for size in ((64,), (0, 5), (64.0, 64.0)):
        with pytest.raises(ValueError, match=r"size is .+: give \(height, width\), two whole numbers"):
            decode_images(files, size=size)  # type: ignore[arg-type]


def test_a_cache_for_another_size_does_not_count(files: ImageTxtDataset, tmp_path: Path) -> None:
    decode_images(files, size=(5, 7), cache=tmp_path / "cache")
    Image.new("RGB", (40, 30)).save(tmp_path / "33.png")
    decode_images(files, size=(5, 7), cache=tmp_path / "cache")
    with pytest.raises(ValueError, match="the image has 30 x 40 pixels, the first one 5 x 7"):
        decode_images(files, cache=tmp_path / "cache")


@pytest.mark.parametrize("workers", [0, 2])
def test_damaged_and_missing_images_are_named_in_one_sentence(
    files: ImageTxtDataset, tmp_path: Path, workers: int
) -> None:
    cache = tmp_path / "cache"
    (tmp_path / "40.png").write_bytes(b"no image")
    for arguments in ({}, {"cache": cache}):
        with pytest.raises(ValueError, match=r"^\S+list\.txt, line 41: the image \S+40\.png cannot be read"):
            decode_images(files, num_workers=workers, **arguments)
    (tmp_path / "40.png").unlink()
    for arguments in ({}, {"cache": cache}):
        with pytest.raises(FileNotFoundError, match=r"^\S+list\.txt, line 41: there is no file"):
            decode_images(files, num_workers=workers, **arguments)
    assert [path.name for path in tmp_path.glob("*cache*")] == []


def test_the_cache_is_read_and_not_the_files(
    files: ImageTxtDataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    cache = tmp_path / "cache"
    first = decode_images(files, cache=cache)
    reads = counting_reads(monkeypatch)
    again = decode_images(files, cache=cache)
    assert reads == [0]  # for the shape
    assert torch.equal(again, first)
    again[:] = 0  # in memory alone
    assert torch.equal(decode_images(files, cache=cache), first)
    assert np.array_equal(np.load(cache), first.numpy())  # an ordinary NumPy file


def test_a_changed_source_is_noticed(files: ImageTxtDataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    cache = tmp_path / "cache"
    decode_images(files, cache=cache)
    for name, value in (("69.png", 255), ("0.png", 7)):
        old = (tmp_path / name).stat()
        Image.new("RGB", (7, 5), (value,) * 3).save(tmp_path / name)
        os.utime(tmp_path / name, ns=(old.st_atime_ns, old.st_mtime_ns + 1))
        assert torch.equal(decode_images(files, cache=cache), one_by_one(files))

    (tmp_path / "short.txt").write_text("3.png 0\n4.png 0\n")  # another list, another mode, another size
    short = ImageTxtDataset(tmp_path / "short.txt")
    assert torch.equal(decode_images(short, cache=cache), one_by_one(short))
    grey = ImageTxtDataset(tmp_path / "short.txt", mode="L")
    assert torch.equal(decode_images(grey, cache=cache), one_by_one(grey))
    assert decode_images(grey, cache=cache, size=(2, 3)).shape == (2, 1, 2, 3)
    swapped = tmp_path / "swapped.txt"
    swapped.write_text("4.png 0\n3.png 0\n")
    assert torch.equal(decode_images(ImageTxtDataset(swapped), cache=cache)[0], short.read(1))


def test_a_cache_is_whole_or_not_there(files: ImageTxtDataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    cache = tmp_path / "cache"
    decode_images(files, cache=cache)
    content = cache.read_bytes()
    os.utime(tmp_path / "5.png")  # so that it is to be written anew, and that fails

    def full(self: Path, target: Path) -> Path:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, "replace", full)
    with pytest.raises(OSError, match="No space left"):
        decode_images(files, cache=cache)
    assert cache.read_bytes() == content
    assert [path.name for path in tmp_path.glob("*cache*")] == ["cache"]


def test_a_killed_program_leaves_the_old_cache(files: ImageTxtDataset, tmp_path: Path) -> None:
    cache = tmp_path / "cache"
    decode_images(files, cache=cache)
    content = cache.read_bytes()
    os.utime(tmp_path / "5.png")
    script = (
        "import os, sys\n"
        "from course_utils import ImageTxtDataset\n"
        "from course_utils.decoding import decode_images\n"
        "files = ImageTxtDataset(sys.argv[1])\n"
        "read = files.read\n"
        "def dies(index, size=None):\n"
        "    return os._exit(9) if index == 50 else read(index, size)\n"
        "files.read = dies\n"
        "decode_images(files, cache=sys.argv[2])\n"
    )
    command = [sys.executable, "-c", script, str(files.list_file), str(cache)]
    assert subprocess.run(command, timeout=120).returncode == 9
    assert cache.read_bytes() == content
    assert torch.equal(decode_images(files, cache=cache), one_by_one(files))


def test_other_files_are_not_overwritten(files: ImageTxtDataset, tmp_path: Path) -> None:
    decode_images(files, cache=tmp_path / "cache")
    np.save(tmp_path / "array.npy", np.zeros((3, 4)))
    cut = (tmp_path / "cache").read_bytes()[:-1]
    for content in (b"", b"my thesis", (tmp_path / "array.npy").read_bytes(), cut):
        (tmp_path / "thesis").write_bytes(content)
        with pytest.raises(ValueError, match="thesis is no whole cache of decoded images: delete it, or"):
            decode_images(files, cache=tmp_path / "thesis")
        assert (tmp_path / "thesis").read_bytes() == content


def test_too_much_for_the_memory(files: ImageTxtDataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MEMORY", 70 * 5 * 7 * 3 - 1)
    with pytest.raises(ValueError, match=r"70 images of 3 x 5 x 7 bytes take 0\.0 GiB: give a cache"):
        decode_images(files)
    assert decode_images(files, cache=tmp_path / "cache").shape == (70, 3, 5, 7)


def test_batches_from_a_cache_equal_items_from_files(files: ImageTxtDataset, tmp_path: Path) -> None:
    pixels = decode_images(files, cache=tmp_path / "cache")
    images, labels = ImageDataset(pixels, files.labels, mean=(0.0,) * 3, std=(1.0,) * 3)[[5, 69, 5]]
    assert torch.equal(images, torch.stack([files[index][0] for index in (5, 69, 5)]))
    assert labels.tolist() == [2, 0, 2]
