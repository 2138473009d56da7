"""An image file as a tensor of the shape that a model takes."""

import io
from pathlib import Path

import numpy as np
import torch

MAX_PIXELS = 50_000_000


def read_image(source: str | Path | bytes, shape: tuple[int, ...]) -> torch.Tensor:
    """Return a PNG or JPEG image as uint8 (C, H, W) of the given ``shape``.

    ``source`` is a path, or the bytes of a file. One channel makes it grey, three make it RGB; another size is
    brought to ``shape`` by bilinear resizing, whatever the proportions. A photograph is turned as its camera says.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: it is no image, it is damaged, or it has more than 50 million pixels.
    """
    from PIL import Image, ImageOps, UnidentifiedImageError

    name = "The image" if isinstance(source, bytes) else str(source)
    channels, height, width = shape
    try:
        file = io.BytesIO(source) if isinstance(source, bytes) else source
        with Image.open(file, formats=("PNG", "JPEG")) as image:
            if image.width * image.height > MAX_PIXELS:
                raise ValueError(
                    f"{name} has {image.width} x {image.height} pixels, more than {MAX_PIXELS:,}: make it smaller."
                )
            turned = ImageOps.exif_transpose(image).convert("L" if channels == 1 else "RGB")
        if turned.size != (width, height):
            turned = turned.resize((width, height), Image.Resampling.BILINEAR)
    except FileNotFoundError:
        raise FileNotFoundError(f"There is no file {name}: check the path.") from None
    except UnidentifiedImageError as error:
        raise ValueError(f"{name} is no PNG and no JPEG: give one of these.") from error
    except (OSError, SyntaxError, Image.DecompressionBombError, Image.DecompressionBombWarning) as error:
        raise ValueError(f"{name} is damaged ({error}): give another copy.") from error
    pixels = torch.from_numpy(np.asarray(turned, dtype=np.uint8).copy())
    return pixels.unsqueeze(0) if channels == 1 else pixels.permute(2, 0, 1).contiguous()
