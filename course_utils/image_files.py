"""An image file as a tensor of the shape that a model takes."""

import io
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import torch

if TYPE_CHECKING:
    from PIL.Image import Image

MAX_PIXELS = 50_000_000
# The tag of EXIF data that says how the camera was held, and what turns the picture upright. Pillow's exif_transpose
# also writes all the other tags anew, and fails if a camera wrote one with another type.
ORIENTATION = 0x0112
TURNS = {
    2: "FLIP_LEFT_RIGHT",
    3: "ROTATE_180",
    4: "FLIP_TOP_BOTTOM",
    5: "TRANSPOSE",
    6: "ROTATE_270",
    7: "TRANSVERSE",
    8: "ROTATE_90",
}


def read_image(source: str | Path | bytes, shape: tuple[int, ...], *, max_pixels: int = MAX_PIXELS) -> torch.Tensor:
    """Return a PNG or JPEG image as uint8 (C, H, W) of the given ``shape``.

    ``source`` is a path, or the bytes of a file. One channel makes it grey, three make it RGB; another size is
    brought to ``shape`` by bilinear resizing, whatever the proportions. A photograph is turned as its camera says.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: ``shape`` has neither one channel nor three, or the image is damaged, none at all, has more than 8
            bits a channel or more pixels than ``max_pixels``.
    """
    from PIL import Image, UnidentifiedImageError

    name = "The image" if isinstance(source, bytes) else str(source)
    channels, height, width = shape
    if channels not in (1, 3):
        raise ValueError(f"{name} cannot have {channels} channels: a file becomes grey or RGB, so send pixels.")
    try:
        file = io.BytesIO(source) if isinstance(source, bytes) else source
        with Image.open(file, formats=("PNG", "JPEG")) as image:
            if image.width * image.height > max_pixels:
                raise TooLargeError(f"{image.width} x {image.height} pixels, more than {max_pixels:,}")
            turned = resized(upright(image, "L" if channels == 1 else "RGB"), (height, width))
    except FileNotFoundError:
        raise FileNotFoundError(f"There is no file {name}: check the path.") from None
    except UnidentifiedImageError as error:
        raise ValueError(f"{name} is no PNG and no JPEG: give one of these.") from error
    except TooLargeError as error:
        raise ValueError(f"{name} has {error}: make it smaller.") from error
    except TooManyBitsError as error:
        raise ValueError(f"{name} cannot be used ({error}): save it with 8 bits.") from error
    except MemoryError:
        raise
    except Exception as error:  # Pillow raises any type at all for damaged files
        raise ValueError(f"{name} is damaged ({error}): give another copy.") from error
    return to_tensor(turned)


class TooLargeError(ValueError):
    """An image that would fill the memory."""


class TooManyBitsError(ValueError):
    """An image whose pixels do not fit into 8 bits."""


def upright(image: "Image", mode: str) -> "Image":
    """Return ``image`` turned as its EXIF data says, in ``mode`` ("L" or "RGB").

    Raises:
        TooManyBitsError: its pixels have more than 8 bits, which Pillow would cut off without a word.
        Exception: it is damaged; of which type is not documented.
    """
    from PIL import Image

    raw = " ".join(str(tile[3]) for tile in getattr(image, "tile", ()))  # of colours, the mode does not tell
    if image.mode.startswith(("I", "F")) or ";16" in raw:
        raise TooManyBitsError(f"its pixels have more than 8 bits, mode {image.mode}, which would be cut off")
    image.load()  # a TIFF file is turned by that, and afterwards its EXIF data says so
    turned = image
    if turn := TURNS.get(image.getexif().get(ORIENTATION, 1)):
        turned = image.transpose(Image.Transpose[turn])
    return (turned.convert("RGBA") if turned.mode == "P" else turned).convert(mode)  # a palette may be transparent


def resized(image: "Image", size: tuple[int, int] | None) -> "Image":
    """Return ``image`` with (height, width) of ``size``, by bilinear resizing, whatever its proportions."""
    from PIL.Image import Resampling

    if size is None or image.size == size[::-1]:
        return image
    return image.resize(size[::-1], Resampling.BILINEAR)


def to_tensor(image: "Image") -> torch.Tensor:
    """Return a grey or an RGB ``image`` as uint8 (C, H, W)."""
    pixels = np.array(image)
    return torch.from_numpy(pixels.reshape(*pixels.shape[:2], -1)).permute(2, 0, 1).contiguous()
