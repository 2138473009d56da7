"""An image file becomes a tensor of the wanted shape, or one sentence says why not."""

import io
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from course_utils import image_files
from course_utils.image_files import read_image


def picture(mode: str = "RGB", size: tuple[int, int] = (6, 4), kind: str = "PNG") -> bytes:
    generator = torch.Generator().manual_seed(2)
    channels = {"L": 1, "RGB": 3, "RGBA": 4}[mode]
    pixels = torch.randint(0, 256, (size[1], size[0], channels), dtype=torch.uint8, generator=generator)
    content = io.BytesIO()
    Image.fromarray(pixels.squeeze(-1).numpy(), mode).save(content, kind)
    return content.getvalue()


@pytest.mark.parametrize("mode", ["L", "RGB", "RGBA"])
@pytest.mark.parametrize("shape", [(1, 4, 6), (3, 4, 6), (1, 9, 5), (3, 2, 2)])
def test_the_shape_that_was_asked_for(mode: str, shape: tuple[int, int, int], tmp_path: Path) -> None:
    content = picture(mode)
    image = read_image(content, shape)
    assert image.shape == shape
    assert image.dtype == torch.uint8
    (tmp_path / "a b.png").write_bytes(content)
    assert torch.equal(read_image(tmp_path / "a b.png", shape), image)


def test_the_pixels_are_those_of_the_file() -> None:
    content = picture("RGB")
    expected = torch.from_numpy(np.array(Image.open(io.BytesIO(content)))).permute(2, 0, 1)
    assert torch.equal(read_image(content, (3, 4, 6)), expected.to(torch.uint8))


def test_a_photograph_is_turned_as_its_camera_says() -> None:
    image = Image.new("L", (6, 4))
    image.putpixel((5, 0), 255)
    exif = Image.Exif()
    exif[0x0112] = 6  # turned to the left: the first row is the right column
    content = io.BytesIO()
    image.save(content, "PNG", exif=exif)
    turned = read_image(content.getvalue(), (1, 6, 4))
    assert turned[0, 5, 3] == 255


@pytest.mark.parametrize("kind", ["PNG", "JPEG"])
def test_a_damaged_image_in_one_sentence(kind: str) -> None:
    content = picture(size=(60, 40), kind=kind)
    for cut in (len(content) // 3, len(content) - 30):
        with pytest.raises(ValueError, match="The image is ") as caught:
            read_image(content[:cut], (3, 40, 60))
        assert "\n" not in str(caught.value)


@pytest.mark.parametrize("content", [b"", b"not an image", b"%PDF-1.7 ...", b"GIF89a", b"%!PS-Adobe-3.0 EPSF-3.0"])
def test_something_else(content: bytes) -> None:
    with pytest.raises(ValueError, match=r"The image is no PNG and no JPEG: give one of these."):
        read_image(content, (1, 4, 6))


def test_a_missing_file(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match=r"There is no file .*absent.png: check the path."):
        read_image(tmp_path / "absent.png", (1, 4, 6))
    with pytest.raises(ValueError, match="is damaged"):
        read_image(tmp_path, (1, 4, 6))


def test_too_many_pixels_are_refused_before_they_are_decoded(monkeypatch: pytest.MonkeyPatch) -> None:
    content = io.BytesIO()
    Image.new("1", (20_000, 10_000)).save(content, "PNG")  # 25 kB in the file, 200 million pixels
    monkeypatch.setattr(Image.Image, "load", lambda *arguments: pytest.fail("it was decoded"))
    with pytest.raises(ValueError, match=r"more than 50,000,000|is damaged .*decompression bomb"):
        read_image(content.getvalue(), (1, 4, 6))
    assert image_files.MAX_PIXELS == 50_000_000


def test_sixteen_bits_are_refused_and_not_cut_off() -> None:
    content = io.BytesIO()
    Image.fromarray(np.full((4, 6), 40_000, dtype=np.uint16)).save(content, "PNG")
    with pytest.raises(ValueError, match=r"The image cannot be used \(its pixels have more than 8 bits, mode I;16"):
        read_image(content.getvalue(), (1, 4, 6))


def test_a_palette_with_a_transparent_colour_gives_its_colours() -> None:
    image = Image.new("P", (2, 1))
    image.putpalette([10, 20, 30, 200, 150, 100])
    image.putpixel((1, 0), 1)
    content = io.BytesIO()
    image.save(content, "PNG", transparency=b"\x00\xff")  # Pillow warns if this goes to RGB without RGBA between
    assert read_image(content.getvalue(), (3, 1, 2))[:, 0].T.tolist() == [[10, 20, 30], [200, 150, 100]]
