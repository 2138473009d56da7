"""The service under arbitrary input: never a 5xx, always what /openapi.json describes, and no harm to the next request.

The examples are the same in every run. ``COURSE_FUZZ=1000 pytest tests/test_service_fuzz.py`` tries a thousand times as
many, other ones in each run.
"""

import base64
import io
import json
import os
import struct
import tempfile
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import requests
import schemathesis
import torch
from fastapi.testclient import TestClient
from hypothesis import HealthCheck, Phase, example, given, settings
from hypothesis import strategies as st
from hypothesis.configuration import set_hypothesis_home_dir
from PIL import Image
from schemathesis import GenerationMode
from schemathesis.specs.openapi.checks import negative_data_rejection, positive_data_acceptance

from course_utils.service import Limits, create_app
from tests.test_service import IMAGES, PIXELS, ROWS, png, save

# Nothing is kept from one run to the next; a folder .hypothesis in the repository would be warned of by its own plugin.
set_hypothesis_home_dir(Path(tempfile.gettempdir()) / "hypothesis")

MORE = int(os.environ.get("COURSE_FUZZ", "0"))
# Pillow warns of metadata that it leaves out and reads on: in a service that is a line in the log.
pytestmark = pytest.mark.filterwarnings("ignore::UserWarning:PIL")

TABLE = {"rows": [{"ram": 12.5, "cores": 4}, {"ram": 1, "cores": 2}]}
PICTURES: dict[str, Any] = {
    "images": [PIXELS[0].tolist(), PIXELS[1, 0].tolist(), base64.b64encode(png(PIXELS[2])).decode()]
}


def examples(number: int) -> settings:
    return settings(
        max_examples=number * (MORE or 1),
        derandomize=not MORE,
        database=None,
        deadline=None,
        suppress_health_check=list(HealthCheck),
        phases=[Phase.explicit, Phase.generate, Phase.shrink],
    )


@dataclass
class Service:
    client: TestClient
    described: schemathesis.BaseSchema
    good: dict[str, Any]  # a body, and the answer to it
    expected: torch.Tensor

    def ask(self, content: bytes, kind: str = "application/json", **headers: str | bytes) -> int:
        """Send ``content`` to /predict, check what comes back, and return the status."""
        answer = self.client.post("/predict", content=content, headers={"content-type": kind, **headers})
        self.check(answer)
        return int(answer.status_code)

    def check(self, answer: Any) -> None:
        """Fail unless the answer from /predict is one of those that /openapi.json describes."""
        assert answer.status_code < 500, answer.text
        assert str(answer.status_code) in self.described["/predict"]["POST"].definition.raw["responses"]
        self.described["/predict"]["POST"].validate_response(answer)
        if answer.status_code != 200:
            assert answer.json().keys() == {"detail"}
            detail = answer.json()["detail"]
            assert detail.isprintable(), detail
            assert len(detail) > 20, detail
            assert detail.endswith("."), detail

    def answers_rightly(self) -> None:
        """Fail unless a good request still gets the model's answer."""
        answer = self.client.post("/predict", json=self.good)
        assert answer.status_code == 200
        found = [list(one["probabilities"].values()) for one in answer.json()["predictions"]]
        assert torch.allclose(torch.tensor(found), self.expected, atol=1e-6)


@pytest.fixture(scope="module", params=["images", "rows"])
def service(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    folder: Path = tmp_path_factory.mktemp("fuzz") / "model"
    images = request.param == "images"
    bundle = save(folder, IMAGES if images else ROWS)
    inputs = PIXELS[:3] if images else torch.tensor([[12.5, 4.0], [1.0, 2.0]])
    app = create_app(folder, limits=Limits(body=60_000, batch=8, wait=0, seconds=20))
    with TestClient(app) as client:
        described = schemathesis.openapi.from_dict(app.openapi())
        yield Service(client, described, PICTURES if images else TABLE, bundle.logits(inputs).softmax(dim=1))


@pytest.fixture(autouse=True)
def _unharmed(service: Service) -> Iterator[None]:
    yield
    service.answers_rightly()


# Text with surrogates cannot be sent, but written as \ud800 in JSON it can.
TEXTS = st.text(max_size=12) | st.sampled_from(["", "images", "rows", "ram", "aGVsbG8=", "\n", "NaN", "\ud800"])
NUMBERS = st.integers(-1, 300) | st.integers() | st.floats() | st.sampled_from([10**400, 2**63, -(2**63), 1e39, 5e-324])
ANYTHING = st.recursive(
    st.none() | st.booleans() | NUMBERS | TEXTS,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(TEXTS, inner, max_size=4),
    max_leaves=8,
)


@st.composite
def almost(draw: st.DrawFn, value: Any) -> Any:
    """Return ``value`` with something else in one place, at any depth."""
    if not isinstance(value, dict | list) or not value or draw(st.integers(0, 3)) == 0:
        return draw(ANYTHING)
    if isinstance(value, list):
        place = draw(st.integers(0, len(value) - 1))
        kept = draw(st.sampled_from(["change", "leave out", "repeat"]))
        middle = {"change": [draw(almost(value[place]))], "leave out": [], "repeat": [value[place]] * 2}[kept]
        return value[:place] + middle + value[place + 1 :]
    name = draw(st.sampled_from(sorted(value)))
    rest = {key: inner for key, inner in value.items() if key != name}
    return {**rest, name: draw(almost(value[name]))} | draw(
        st.just({}) | st.just({}) | st.dictionaries(TEXTS, ANYTHING)
    )


@examples(150)
@given(ANYTHING)
@example({"\n": 1})
@example({"images": [["\ud800"]]})
def test_any_json(service: Service, value: Any) -> None:
    service.ask(json.dumps(value).encode())


@examples(200)
@given(st.data())
def test_json_that_is_almost_right(service: Service, data: st.DataObject) -> None:
    service.ask(json.dumps(data.draw(almost(service.good))).encode())


@st.composite
def damaged(draw: st.DrawFn, content: bytes) -> bytes:
    """Return ``content`` after up to four changes: bits flipped, bytes left out, repeated, put in, cut off."""
    changed = bytearray(content)
    for _ in range(draw(st.integers(1, 4))):
        # Headers are at the beginning, where a change says more.
        place = draw(st.integers(0, len(changed)) | st.integers(0, min(len(changed), 200)))
        length = draw(st.integers(0, 16))
        how = draw(st.sampled_from(["flip", "number", "cut", "remove", "insert", "repeat"]))
        if how == "flip" and place < len(changed):
            changed[place] ^= 1 << draw(st.integers(0, 7))
        elif how == "number":
            changed[place : place + 4] = struct.pack(">I", draw(st.sampled_from([0, 1, 60_000, 2**31, 2**32 - 1])))
        elif how == "cut":
            del changed[place:]
        elif how == "remove":
            del changed[place : place + length]
        elif how == "insert":
            changed[place:place] = draw(st.binary(max_size=16))
        else:
            changed[place:place] = changed[place : place + length]
    return bytes(changed)


def with_right_checksums(content: bytes) -> bytes:
    """Return a damaged PNG with the checksums of its chunks made right, so that the damage is read at all."""
    fixed, place = bytearray(content[:8]), 8
    while place + 12 <= len(content):
        end = place + 8 + int.from_bytes(content[place : place + 4], "big")
        if end + 4 > len(content):
            break
        fixed += content[place:end] + struct.pack(">I", zlib.crc32(content[place + 4 : end]))
        place = end + 4
    return bytes(fixed) + content[place:]


def exif(*entries: tuple[int, int, int, bytes]) -> bytes:
    """Return EXIF data of (tag, type, count, four bytes); it is not checked whether they belong together."""
    table = b"".join(struct.pack("<HHI4s", *entry) for entry in entries)
    return b"Exif\0\0II*\0\x08\0\0\0" + struct.pack("<H", len(entries)) + table + bytes(4)


def image(mode: str = "L", kind: str = "PNG", size: tuple[int, int] = (8, 8), **options: Any) -> bytes:
    content = io.BytesIO()
    Image.new(mode, size, 1).save(content, kind, **options)
    return content.getvalue()


TURNED = (0x0112, 3, 1, b"\6\0\0\0")
FILES = [
    *(image(mode) for mode in ("1", "L", "LA", "P", "RGB", "RGBA", "I;16")),
    *(image(mode, "JPEG") for mode in ("L", "RGB", "CMYK")),
    image("RGB", "JPEG", progressive=True, comment=b"Hello.", exif=exif(TURNED)),
    image("RGB", "PNG", dpi=(72, 72), icc_profile=b"x" * 50, exif=exif(TURNED)),
    image("RGB", save_all=True, append_images=[Image.new("RGB", (8, 8), 2)], duration=100),
]


@pytest.mark.parametrize("service", ["images"], indirect=True)
@examples(250)
@given(st.sampled_from(FILES).flatmap(damaged), st.booleans(), st.sampled_from(["image/png", "image/jpeg"]))
@example(png(PIXELS[0])[:8] + struct.pack(">I4sI", 0, b"IHDR", zlib.crc32(b"IHDR")), False, "image/png")
def test_damaged_image_files(service: Service, content: bytes, fix: bool, kind: str) -> None:
    content = with_right_checksums(content) if fix else content
    service.ask(content, kind)
    service.ask(json.dumps({"images": [base64.b64encode(content).decode()]}).encode())


ENTRIES = st.tuples(
    st.sampled_from([0x0100, 0x0102, 0x010E, 0x011A, 0x0112, 0x829A, 0x8769, 0x8825, 0x1234]),
    st.integers(0, 14),
    st.sampled_from([0, 1, 2, 5, 2**32 - 1]),
    st.sampled_from([b"abc\0", b"\1\0\0\0", bytes(4), b"\xff\xff\xff\xff"]),
)


@pytest.mark.parametrize("service", ["images"], indirect=True)
@examples(150)
@given(st.lists(ENTRIES, max_size=4), st.sampled_from(["JPEG", "PNG"]))
@example([(0x0100, 1, 1, b"abc\0")], "JPEG")
@example([(0x010E, 11, 1, b"abc\0")], "JPEG")
@example([(0x011A, 2, 1, b"abc\0")], "PNG")
def test_a_photograph_whose_camera_wrote_odd_things(service: Service, entries: list[Any], kind: str) -> None:
    """Only the pixels and how they are turned matter: all else in the metadata is no reason to refuse an image."""
    assert service.ask(image("L", kind, exif=exif(TURNED, *entries)), f"image/{kind.lower()}") == 200


HUGE = 2**31 - 1
BOMBS = {
    "too many pixels": image("1", size=(30_000, 2_000)),
    "too many for Pillow": image("1", size=(20_000, 9_000)),
    "a header that promises": with_right_checksums(image()[:16] + struct.pack(">II", HUGE, HUGE) + image()[24:]),
}


@pytest.mark.parametrize("service", ["images"], indirect=True)
@pytest.mark.parametrize("content", BOMBS.values(), ids=BOMBS)
def test_bombs(service: Service, content: bytes) -> None:
    assert service.ask(content, "image/png") == 422
    assert service.ask(json.dumps({"images": [base64.b64encode(content).decode()]}).encode()) == 422


# What a server lets through: names are tokens, values any bytes but control characters.
VALUES = st.text(st.characters(max_codepoint=255, exclude_categories=["Cc"]), max_size=20).map(
    lambda value: value.strip().encode("latin-1")
)
NAMES = st.sampled_from(["accept", "content-encoding", "content-length", "host", "range", "cookie", "expect", "x-odd"])


@examples(100)
@given(
    VALUES | st.sampled_from([b"Application/JSON ; charset=x", b"application/json,image/png", b"image/png", b""]),
    st.data(),
)
def test_odd_headers(service: Service, kind: bytes, data: st.DataObject) -> None:
    headers = data.draw(st.dictionaries(NAMES, VALUES, max_size=4))
    service.ask(json.dumps(service.good).encode(), **{**headers, "content-type": kind})


PATHS = st.sampled_from(["/predict", "/predict/", "/health", "/model", "/metrics", "/", "//", "/docs", "/../predict"])


@examples(100)
@given(
    st.sampled_from(["GET", "HEAD", "POST", "PUT", "DELETE", "OPTIONS", "PATCH", "TRACE", "ODD"]), PATHS, st.binary()
)
def test_other_methods_and_paths(service: Service, method: str, path: str, content: bytes) -> None:
    answer = service.client.request(method, path, content=content, params={"x": content})
    assert answer.status_code < 500
    if answer.status_code >= 400 and method != "HEAD":
        assert answer.json().keys() == {"detail"}


@examples(100)
@given(st.data())
def test_what_the_description_allows_and_what_it_forbids(service: Service, data: st.DataObject) -> None:
    operation = data.draw(st.sampled_from([one.ok() for one in service.described.get_all_operations()]))
    mode = data.draw(st.sampled_from(list(GenerationMode)))
    case = data.draw(operation.as_strategy(generation_mode=mode))
    request = requests.Request(**case.as_transport_kwargs(base_url="http://testserver")).prepare()
    content = request.body.encode() if isinstance(request.body, str) else request.body
    answer = service.client.request(str(request.method), str(request.url), content=content, headers=request.headers)
    assert answer.status_code < 500
    # A description cannot say which shape or columns the model takes, so not all that it allows is accepted.
    left_out: list[Any] = [positive_data_acceptance]
    if answer.status_code == 413:  # too many are refused before one is looked at, also if they are wrong
        left_out.append(negative_data_rejection)
    case.validate_response(schemathesis.Response.from_any(answer), excluded_checks=left_out)
    if operation.path == "/predict":
        service.check(answer)
