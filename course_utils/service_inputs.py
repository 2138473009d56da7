"""What a request to the service may hold, and how it becomes what the model takes."""

import base64
import binascii
import re
from typing import Annotated, Any, NoReturn

import torch
from pydantic import BaseModel, ConfigDict, Field, ValidationError
from pydantic_core import from_json
from starlette.exceptions import HTTPException

from course_utils.bundles import Description
from course_utils.image_files import MAX_PIXELS, read_image

Row = Annotated[list[int], Field(fail_fast=True)]  # the first error is enough
Plane = Annotated[list[Row], Field(fail_fast=True)]
Pixels = Plane | Annotated[list[Plane], Field(fail_fast=True)]
PLACE = re.compile(r"[\w.]{1,40}")
KINDS = ("application/json", "image/png", "image/jpeg")


class Refused(HTTPException):
    """A request that is answered with a status and one sentence."""


class Inputs(BaseModel):
    """One of the two: images, each as base64 of a PNG or JPEG file or as pixels, or rows of a table by column name."""

    model_config = ConfigDict(extra="forbid", strict=True)
    images: Annotated[list[str | Pixels], Field(min_length=1)] | None = None
    rows: Annotated[list[dict[str, Annotated[float, Field(allow_inf_nan=False)]]], Field(min_length=1)] | None = None


def read_samples(kind: str, body: bytes, description: Description, most: int) -> torch.Tensor:
    """Return the samples in the ``body`` of a request: uint8 images (N, C, H, W), or float32 rows (N, columns).

    Args:
        kind: the media type: image/png and image/jpeg for one image, application/json for :class:`Inputs`.
        body: what came.
        description: that of the model.
        most: how many samples may come at once.

    Raises:
        Refused: the body holds something else; the sentence names the place and says what to do.
    """
    if kind not in KINDS:
        raise Refused(415, f"Content-Type is {kind!r}: send one of {', '.join(KINDS)}.")
    if kind != "application/json":
        if description.columns:
            raise Refused(415, "This model takes rows of a table: send them as application/json.")
        return _image_file(body, description.input_shape, "The body").unsqueeze(0)
    try:
        content = from_json(body)
    except ValueError as error:
        raise Refused(400, f"The body is no JSON that can be read: {error}.") from error
    name = "rows" if description.columns else "images"
    given = content.get(name) if isinstance(content, dict) else None
    # Numbers first, so that a body of megabytes that is wrong everywhere costs no more than one that is right.
    if isinstance(given, list) and len(given) > most:
        raise Refused(413, f"There are {len(given)} {name}, but at most {most} may come at once: send fewer.")
    if isinstance(given, list) and description.columns:
        for number, row in enumerate(given):
            _check_names(row, description.columns, f"rows.{number}")
    try:
        inputs = Inputs.model_validate(content)
    except ValidationError as error:
        _refuse(error)
    if description.columns and inputs.rows is not None and inputs.images is None:
        return torch.stack([_row(row, description.columns, f"rows.{n}") for n, row in enumerate(inputs.rows)])
    if not description.columns and inputs.images is not None and inputs.rows is None:
        pixels = MAX_PIXELS // len(inputs.images)  # all of a request together take no longer than one large one
        return torch.stack(
            [_image(one, description.input_shape, f"images.{n}", pixels) for n, one in enumerate(inputs.images)]
        )
    raise Refused(422, f'This model takes {name}: send {{"{name}": [...]}} and nothing else.')


def _refuse(error: ValidationError) -> NoReturn:
    first = error.errors(include_url=False, include_input=False, include_context=False)[0]
    where = ".".join(str(part) for part in first["loc"][:2])
    place = "The body" if not where else where if PLACE.fullmatch(where) else f"{where[:40]!r}"
    if first["loc"][:1] == ("images",) and len(first["loc"]) > 1:  # of the two ways, Pydantic names the first alone
        raise Refused(
            422, f"{place} is wrong: send the file in base64, or its pixels as whole numbers from 0 to 255."
        ) from error
    raise Refused(422, f"{place} is wrong: {first['msg']}; /docs describes what may come.") from error


def _image(given: str | Pixels, shape: tuple[int, ...], place: str, max_pixels: int) -> torch.Tensor:
    if isinstance(given, str):
        try:
            return _image_file(base64.b64decode(given, validate=True), shape, place, max_pixels)
        except (binascii.Error, ValueError) as error:
            raise Refused(
                422, f"{place} is no base64 ({error}): encode a PNG or JPEG file, without line breaks and 'data:'."
            ) from error
    try:
        pixels = torch.tensor(given)
    except (OverflowError, RuntimeError, TypeError, ValueError) as error:
        raise Refused(422, f"{place} has rows of unequal length, or numbers that are too large.") from error
    if pixels.ndim == 2 and shape[0] == 1:
        pixels = pixels.unsqueeze(0)
    if tuple(pixels.shape) != shape:
        raise Refused(422, f"{place} has the shape {list(pixels.shape)}, but the model takes {list(shape)}.")
    if int(pixels.min()) < 0 or int(pixels.max()) > 255:
        raise Refused(422, f"{place} has pixels outside 0 to 255: send them as they are in the file.")
    return pixels.to(torch.uint8)


def _image_file(content: bytes, shape: tuple[int, ...], place: str, max_pixels: int = MAX_PIXELS) -> torch.Tensor:
    try:
        return read_image(content, shape, max_pixels=max_pixels)
    except ValueError as error:
        raise Refused(422, f"{place}: {error}") from error


def _check_names(row: Any, columns: tuple[str, ...], place: str) -> None:
    if not isinstance(row, dict):  # Pydantic says so
        return
    for name in columns:
        if name not in row:
            raise Refused(422, f"{place} has no {name}: send all of {', '.join(columns)}.")
    if len(row) > len(columns):
        unknown = min(row.keys() - set(columns))
        raise Refused(422, f"{place} has {unknown[:40]!r}, which the model does not know: leave it out.")


def _row(given: dict[str, float], columns: tuple[str, ...], place: str) -> torch.Tensor:
    row = torch.tensor([given[name] for name in columns], dtype=torch.float64).to(torch.float32)
    if not row.isfinite().all():
        raise Refused(422, f"{place} has a number that is too large for float32.")
    return row
