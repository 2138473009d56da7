"""The service in process: right answers, and for everything else a 4xx with one sentence."""

import asyncio
import base64
import contextlib
import io
import json
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from fastapi.testclient import TestClient
from PIL import Image

from course_utils.batching import Batcher, Overloaded
from course_utils.bundles import Bundle, Description, load_bundle, save_bundle
from course_utils.prediction_log import PredictionLog
from course_utils.service import Limits, create_app
from course_utils.versions import current_version, list_versions, use_version

IMAGES = Description("SmallCNN", {}, (1, 8, 8), ("cat", "dog", "T-shirt/top"), (0.4,), (0.3,), "pets", 1)
ROWS = Description("MLP", {}, (2,), ("cheap", "dear"), (10.0, 2.0), (3.0, 1.0), "phones", 1, ("ram", "cores"))
PIXELS = torch.randint(0, 256, (6, 1, 8, 8), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))


def save(folder: Path, description: Description, seed: int = 0) -> Bundle:
    torch.manual_seed(seed)
    bundle = Bundle(description.build().eval(), description)
    save_bundle(folder, bundle, data="Some.", metrics={"accuracy": 0.5}, limits=f"Made with seed {seed}.")
    return bundle


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("service") / "pets"
    save(path, IMAGES)
    return path


@pytest.fixture(scope="module")
def client(folder: Path) -> Iterator[TestClient]:
    with TestClient(create_app(folder, limits=Limits(body=20_000, batch=8, seconds=2))) as client:
        yield client


def png(pixels: torch.Tensor, kind: str = "PNG") -> bytes:
    content = io.BytesIO()
    Image.fromarray(pixels.squeeze(0).numpy()).save(content, kind)
    return content.getvalue()


def shares(answer: Any) -> torch.Tensor:
    return torch.tensor([list(one["probabilities"].values()) for one in answer.json()["predictions"]])


def test_all_ways_to_send_an_image_give_the_models_answer(client: TestClient, folder: Path) -> None:
    expected = load_bundle(folder).logits(PIXELS).softmax(dim=1)
    arrays = client.post("/predict", json={"images": PIXELS.tolist()})
    flat = client.post("/predict", json={"images": PIXELS.squeeze(1).tolist()})
    texts = client.post("/predict", json={"images": [base64.b64encode(png(one)).decode() for one in PIXELS]})
    for answer in (arrays, flat, texts):
        assert answer.status_code == 200, answer.text
        assert torch.allclose(shares(answer), expected, atol=1e-6)
    assert arrays.json()["model"] == "pets"
    for one, row in zip(arrays.json()["predictions"], expected, strict=True):
        assert one["label"] == IMAGES.class_names[int(row.argmax())]
        assert one["probability"] == pytest.approx(float(row.max()))
        assert list(one["probabilities"]) == list(IMAGES.class_names)
    for number, one in enumerate(PIXELS):
        answer = client.post("/predict", content=png(one), headers={"content-type": "image/png"})
        assert torch.allclose(shares(answer), expected[number : number + 1], atol=1e-6)


def test_rows_of_a_table(tmp_path: Path) -> None:
    bundle = save(tmp_path, ROWS)
    with TestClient(create_app(tmp_path)) as client:
        answer = client.post("/predict", json={"rows": [{"cores": 4, "ram": 12.5}, {"ram": 1, "cores": 2}]})
        expected = bundle.logits(torch.tensor([[12.5, 4.0], [1.0, 2.0]])).softmax(dim=1)
        assert torch.allclose(shares(answer), expected, atol=1e-6)
        for rows, said in (
            ([{"ram": 1}], "rows.0 has no cores: send all of ram, cores."),
            (
                [{"ram": 1, "cores": 2}, {"ram": 1, "cores": 2, "wifi": 1}],
                "rows.1 has 'wifi', which the model does not",
            ),
            ([{"ram": "8 GB", "cores": 2}], "rows.0 is wrong: Input should be a valid number"),
            ([{"ram": True, "cores": 2}], "rows.0 is wrong"),
            ([{"ram": None, "cores": 2}], "rows.0 is wrong"),
            ([{"ram": 1e300, "cores": 2}], "rows.0 has a number that is too large for float32."),
            ([], "rows is wrong: List should have at least 1 item"),
        ):
            answer = client.post("/predict", json={"rows": rows})
            assert answer.status_code == 422
            assert said in answer.json()["detail"]
        for number in ("NaN", "Infinity", "1e999"):
            answer = client.post("/predict", content=f'{{"rows": [{{"ram": {number}, "cores": 2}}]}}', headers=JSON)
            assert answer.status_code in (400, 422)
        assert client.post("/predict", json={"images": [[[0]]]}).status_code == 422
        assert client.post("/predict", content=png(PIXELS[0]), headers={"content-type": "image/png"}).status_code == 415


JSON = {"content-type": "application/json"}
BOMB = io.BytesIO()
Image.new("1", (20_000, 9_000)).save(BOMB, "PNG")


@pytest.mark.parametrize(
    ("content", "kind", "status", "said"),
    [
        (b"{", "application/json", 400, "The body is no JSON that can be read: "),
        (b"", "application/json", 400, "The body is no JSON"),
        (b"\xff\xfe", "application/json", 400, "The body is no JSON"),
        (b"[" * 5000, "application/json", 400, "The body is no JSON"),
        (b"[]", "application/json", 422, "The body is wrong"),
        (b"null", "application/json", 422, "The body is wrong"),
        (b"{}", "application/json", 422, 'This model takes images: send {"images": [...]} and nothing else.'),
        (b'{"images": []}', "application/json", 422, "images is wrong: List should have at least 1 item"),
        (b'{"images": [1]}', "application/json", 422, "images.0 is wrong"),
        (
            b'{"images": [[[0.5]]]}',
            "application/json",
            422,
            "images.0 is wrong: send the file in base64, or its pixels as whole numbers from 0 to 255.",
        ),
        (b'{"images": [[["0"]]]}', "application/json", 422, "images.0 is wrong"),
        (b'{"images": [[[true]]]}', "application/json", 422, "images.0 is wrong"),
        (b'{"images": [[[NaN]]]}', "application/json", 422, "images.0 is wrong"),
        (b'{"images": [[[0]]], "more": 1}', "application/json", 422, "more is wrong: Extra inputs are not permitted"),
        (b'{"images": [[[0]]], "rows": [{"a": 1}]}', "application/json", 422, "and nothing else"),
        (b'{"images": [[[0, 1], [2]]]}', "application/json", 422, "images.0 has rows of unequal length"),
        (b'{"images": [[[0, 1], [2, 3]]]}', "application/json", 422, "images.0 has the shape [1, 2, 2], but the model"),
        (b'{"images": [[]]}', "application/json", 422, "images.0 has the shape [0], but the model takes [1, 8, 8]."),
        (b'{"images": [[[99999999999999999999]]]}', "application/json", 422, "images.0 "),
        (json.dumps({"images": [[[256] * 8] * 8]}).encode(), "application/json", 422, "pixels outside 0 to 255"),
        (json.dumps({"images": [[[-1] * 8] * 8]}).encode(), "application/json", 422, "pixels outside 0 to 255"),
        (json.dumps({"images": [[[0] * 8] * 8] * 9}).encode(), "application/json", 413, "There are 9 images, but at"),
        (b'{"images": ["not base64!"]}', "application/json", 422, "images.0 is no base64"),
        (b'{"images": ["aGVsbG8="]}', "application/json", 422, "images.0: The image is no PNG and no JPEG"),
        (b"", "image/png", 422, "The body: The image is no PNG and no JPEG"),
        (png(PIXELS[0])[:60], "image/png", 422, "The body: The image is "),
        (png(PIXELS[0], "JPEG")[:300], "image/jpeg", 422, "The body: The image is "),
        (BOMB.getvalue()[:20_000], "image/png", 422, "The body: The image "),
        (b"x" * 20_001, "image/png", 413, "The body is larger than 20,000 bytes: send less at once."),
        (b"x" * 20_001, "application/json", 413, "The body is larger than 20,000 bytes"),
        (b"ram=1", "application/x-www-form-urlencoded", 415, "send one of application/json, image/png, image/jpeg"),
    ],
)
def test_bad_input_is_a_4xx_with_a_sentence(
    client: TestClient, content: bytes, kind: str, status: int, said: str
) -> None:
    answer = client.post("/predict", content=content, headers={"content-type": kind})
    assert answer.status_code == status, answer.text
    assert answer.json().keys() == {"detail"}
    assert said in answer.json()["detail"]
    assert "\n" not in answer.json()["detail"]
    assert client.post("/predict", json={"images": PIXELS[:1].tolist()}).status_code == 200


def test_other_paths_and_methods(client: TestClient) -> None:
    assert client.get("/nothing").json() == {"detail": "Not Found"}
    assert client.get("/predict").status_code == 405
    assert client.post("/predict").status_code == 415


def test_health_card_and_metrics(client: TestClient) -> None:
    assert client.get("/health").json() == {"status": "ok", "model": "pets"}
    card = client.get("/model")
    assert card.headers["content-type"].startswith("text/markdown")
    assert "# SmallCNN for pets" in card.text
    before = client.get("/metrics").text
    client.post("/predict", json={"images": PIXELS[:3].tolist()})
    client.get("/some/other/path")
    after = client.get("/metrics").text

    def value(text: str, name: str) -> float:
        found = [line.rpartition(" ")[2] for line in text.splitlines() if line.startswith(name + " ")]
        return float(found[0]) if found else 0.0

    for name, more in (
        ('requests_total{path="/predict",status="200"}', 1),
        ('requests_total{path="other",status="404"}', 1),
        ("batch_size_sum", 3),
        ('request_seconds_count{path="/predict"}', 1),
    ):
        assert value(after, name) - value(before, name) == more, name
    assert 'model_in_use{version="pets"} 1.0' in after


def answer_to(app: Any, receive: Any) -> list[Any]:
    """Post to /predict in ASGI's own terms, with what ``receive`` gives for a body; return what is sent."""
    sent: list[Any] = []

    async def send(message: Any) -> None:
        sent.append(message)

    headers = [(b"content-type", b"application/json")]
    scope = {"type": "http", "method": "POST", "path": "/predict", "headers": headers, "query_string": b""}
    asyncio.run(app(scope, receive, send))
    return sent


def test_a_slow_client_is_sent_away(folder: Path) -> None:
    async def receive() -> dict[str, Any]:
        await asyncio.sleep(60)
        return {}

    sent = answer_to(create_app(folder, limits=Limits(seconds=0.05)), receive)
    assert sent[0]["status"] == 408
    assert json.loads(sent[1]["body"])["detail"].startswith("The body took longer than 0.05 seconds")


def test_another_version_answers_without_a_new_start(tmp_path: Path) -> None:
    first, second = save(tmp_path / "v1", IMAGES, 1), save(tmp_path / "v2", IMAGES, 2)
    save(tmp_path / "v3", replace(IMAGES, input_shape=(1, 4, 4)))
    use_version(tmp_path, "v1")
    with TestClient(create_app(tmp_path, look=0.02)) as client:

        def asked() -> tuple[str, torch.Tensor]:
            answer = client.post("/predict", json={"images": PIXELS.tolist()})
            return answer.json()["model"], shares(answer)

        def waits_for(name: str) -> torch.Tensor:
            for _ in range(500):
                version, found = asked()
                if version == name:
                    return found
            raise AssertionError(f"{name} never answered")

        assert torch.allclose(waits_for("v1"), first.logits(PIXELS).softmax(1), atol=1e-6)
        use_version(tmp_path, "v2")
        assert torch.allclose(waits_for("v2"), second.logits(PIXELS).softmax(1), atol=1e-6)
        assert "Made with seed 2." in client.get("/model").text
        (tmp_path / "current").write_text("v3\n")  # other inputs: not taken over
        assert {asked()[0] for _ in range(30)} == {"v2"}
        (tmp_path / "current").write_text("v9\n")  # not there
        assert {asked()[0] for _ in range(30)} == {"v2"}
        use_version(tmp_path, "v1")  # and back
        assert torch.allclose(waits_for("v1"), first.logits(PIXELS).softmax(1), atol=1e-6)


def test_versions(tmp_path: Path) -> None:
    save(tmp_path / "v1", IMAGES)
    save(tmp_path / "v2", IMAGES)
    assert list_versions(tmp_path) == ["v1", "v2"]
    with pytest.raises(RuntimeError, match="has no current version: choose one with use_version"):
        current_version(tmp_path)
    use_version(tmp_path, "v1")
    (tmp_path / "v2" / "model.safetensors").write_bytes(b"damaged")
    for name, said in (("v2", "is damaged"), ("v3", r"there: v1, v2"), ("../v1", "There is no version")):
        with pytest.raises(RuntimeError, match=said):
            use_version(tmp_path, name)
        assert current_version(tmp_path) == "v1"
    (tmp_path / "current").write_text("../elsewhere")
    with pytest.raises(RuntimeError, match="is damaged: choose a version again"):
        current_version(tmp_path)


def test_names_of_versions(tmp_path: Path) -> None:
    for name in ("v1", "current", ".hidden", "my model"):
        save(tmp_path / name, IMAGES)
    assert list_versions(tmp_path) == ["v1"]
    with pytest.raises(RuntimeError, match=r"There is no version 'my model' in .* \(there: v1\)"):
        use_version(tmp_path, "my model")


def test_several_may_choose_a_version_at_once(tmp_path: Path) -> None:
    for name in ("v1", "v2"):
        save(tmp_path / name, IMAGES)
    use_version(tmp_path, "v1")
    code = "import sys; from course_utils.versions import use_version as use; "
    code += "[use(sys.argv[1], f'v{number % 2 + 1}') for number in range(60)]"
    with contextlib.ExitStack() as stack:
        choosers = [
            stack.enter_context(subprocess.Popen([sys.executable, "-c", code, str(tmp_path)])) for _ in range(2)
        ]
        seen = set()
        while any(chooser.poll() is None for chooser in choosers):
            seen.add(current_version(tmp_path))
    assert [chooser.returncode for chooser in choosers] == [0, 0]
    assert seen == {"v1", "v2"}
    assert sorted(path.name for path in tmp_path.iterdir()) == ["current", "v1", "v2"]


def run(batcher: Batcher[list[float]], *requests: torch.Tensor) -> list[Any]:
    async def ask() -> list[Any]:
        batcher.start()
        answers = await asyncio.gather(*map(batcher.submit, requests), return_exceptions=True)
        await batcher.stop()
        return answers

    return asyncio.run(ask())


def make(sizes: list[int], **options: Any) -> Batcher[list[float]]:
    def compute(samples: torch.Tensor) -> list[list[float]]:
        if (samples < 0).any():
            raise ArithmeticError("negative")
        return (samples * 2).tolist()

    return Batcher(
        compute, **{"max_batch": 8, "max_wait": 0.05, "max_waiting": 100, "observe": sizes.append, **options}
    )


def test_requests_share_a_batch_and_each_gets_its_own_rows() -> None:
    sizes: list[int] = []
    requests = [torch.full((count, 2), float(number)) for number, count in enumerate((1, 2, 3, 1, 8, 4, 5))]
    for request, rows in zip(requests, run(make(sizes), *requests), strict=True):
        assert rows == (request * 2).tolist()
    assert sizes == [7, 8, 4, 5]  # never more than 8, in the order of arrival, requests whole


def test_a_failing_batch_does_not_end_the_service() -> None:
    sizes: list[int] = []
    answers = run(make(sizes, max_batch=2), -torch.ones(2, 1), torch.ones(2, 1))
    assert isinstance(answers[0], ArithmeticError)
    assert answers[1] == [[2.0], [2.0]]


def test_limits_of_the_batcher() -> None:
    answers = run(make([], max_waiting=9), torch.ones(9, 1), torch.ones(8, 1), torch.ones(2, 1))
    assert isinstance(answers[0], ValueError)
    assert answers[1] == [[2.0]] * 8
    assert isinstance(answers[2], Overloaded)


def test_a_full_batch_waits_for_nobody() -> None:
    async def ask() -> float:
        batcher = make([], max_batch=2, max_wait=30.0)
        batcher.start()
        await asyncio.sleep(0.01)
        started = time.perf_counter()
        first = asyncio.create_task(batcher.submit(torch.ones(1, 1)))
        await asyncio.sleep(0)  # the second comes while the batcher wakes up for the first
        await asyncio.gather(first, batcher.submit(torch.ones(1, 1)))
        await batcher.stop()
        return time.perf_counter() - started

    assert asyncio.run(ask()) < 5


def test_whatever_goes_wrong_in_a_batch_belongs_to_those_who_asked() -> None:
    def fail(size: int) -> None:
        raise KeyError("metrics")

    assert [type(error) for error in run(make([], observe=fail), torch.ones(1, 1))] == [KeyError]
    short = Batcher(lambda samples: [0.0], max_batch=8, max_wait=0.05, max_waiting=8, observe=lambda size: None)
    answers = run(short, torch.ones(1, 1), torch.ones(2, 1))
    assert [str(error) for error in answers] == ["The model gave 1 answers to 3 samples."] * 2

    async def ask() -> list[Any]:
        batcher = make([])
        batcher.start()
        asked = (batcher.submit(torch.ones(1, 1)), batcher.submit(torch.ones(1, 2)))
        bad = await asyncio.gather(*asked, return_exceptions=True)
        good = await batcher.submit(torch.ones(1, 1))
        await batcher.stop()
        return [*bad, good]

    first, second, good = asyncio.run(ask())
    assert isinstance(first, RuntimeError)
    assert isinstance(second, RuntimeError)
    assert good == [[2.0]]


def test_those_who_have_gone_take_nobodys_place() -> None:
    async def ask() -> list[list[float]]:
        batcher = make([], max_waiting=8, max_wait=0.2)
        batcher.start()
        gone = asyncio.create_task(batcher.submit(torch.ones(7, 1)))
        await asyncio.sleep(0)
        gone.cancel()
        await asyncio.sleep(0)
        answer = await batcher.submit(torch.ones(8, 1))
        await batcher.stop()
        with pytest.raises(Overloaded, match="The service is starting or being stopped"):
            await batcher.submit(torch.ones(1, 1))
        return answer

    assert asyncio.run(ask()) == [[2.0]] * 8
    with pytest.raises(ValueError, match="max_waiting is 7, but a batch of 8 must be able to wait"):
        make([], max_waiting=7)


@pytest.mark.parametrize(
    ("body", "said"),
    [
        (b'{"images": [' + b"1," * 1_500_000 + b"1]}", (413, "There are 1500001 images")),
        (b'{"images": [[[' + b'"",' * 1_000_000 + b'""]]]}', (422, "images.0 is wrong: send the file in base64")),
        (b'{"images": [[[' + b"0.5," * 700_000 + b"1]]]}", (422, "images.0 is wrong: send the file in base64")),
        (b'{"images": [' + b"[" * 500_000, (400, "The body is no JSON that can be read")),
    ],
    ids=["numbers", "texts", "scaled pixels", "depth"],
)
def test_megabytes_of_mistakes_cost_no_more_than_one(body: bytes, said: tuple[int, str], folder: Path) -> None:
    with TestClient(create_app(folder)) as client:
        started = time.perf_counter()
        answer = client.post("/predict", content=body, headers={"content-type": "application/json"})
        assert (answer.status_code, answer.json()["detail"][: len(said[1])]) == said
        assert time.perf_counter() - started < 5  # 20 to 90 s if every mistake were listed


def test_a_row_of_many_unknown_columns(tmp_path: Path) -> None:
    save(tmp_path, ROWS)
    row = {"ram": 4, "cores": 2, **{f"{'x' * 100}{number}": "" for number in range(20_000)}}
    with TestClient(create_app(tmp_path)) as client:
        answer = client.post("/predict", json={"rows": [row]})
        assert answer.status_code == 422
        assert answer.json()["detail"] == f"rows.0 has '{'x' * 40}', which the model does not know: leave it out."


def test_files_for_a_model_with_four_channels(tmp_path: Path) -> None:
    save(tmp_path, replace(IMAGES, input_shape=(4, 8, 8), mean=(0.4,) * 4, std=(0.3,) * 4))
    with TestClient(create_app(tmp_path)) as client:
        answer = client.post("/predict", content=png(PIXELS[0]), headers={"content-type": "image/png"})
        assert (answer.status_code, answer.json()["detail"][-18:]) == (422, "RGB, so send pixels."[-18:])
        pixels = torch.zeros(2, 4, 8, 8, dtype=torch.int64).tolist()
        assert client.post("/predict", json={"images": pixels}).status_code == 200


def test_a_client_that_has_gone_costs_nothing() -> None:
    sizes: list[int] = []

    async def ask() -> None:
        batcher = make(sizes)
        batcher.start()
        gone = asyncio.create_task(batcher.submit(torch.ones(3, 1)))
        stays = asyncio.create_task(batcher.submit(torch.ones(2, 1)))
        await asyncio.sleep(0)
        gone.cancel()
        assert await stays == [[2.0], [2.0]]
        await batcher.stop()

    asyncio.run(ask())
    assert sizes == [2]


def test_what_waits_when_the_service_stops_is_answered() -> None:
    async def ask() -> list[Any]:
        batcher = make([], max_wait=60.0)
        batcher.start()
        asked = [asyncio.create_task(batcher.submit(torch.ones(1, 1))) for _ in range(5)]
        await asyncio.sleep(0)
        await batcher.stop()
        with pytest.raises(Overloaded):
            await batcher.submit(torch.ones(1, 1))
        return await asyncio.gather(*asked)

    assert len(asyncio.run(ask())) == 5


def test_every_prediction_is_in_the_log_under_its_id(folder: Path, tmp_path: Path) -> None:
    log = PredictionLog(tmp_path / "log.db", keep=5)
    with TestClient(create_app(folder, log=log)) as client:
        first = client.post("/predict", content=png(PIXELS[0]), headers={"content-type": "image/png"}).json()
        many = client.post("/predict", json={"images": PIXELS.tolist()}).json()
    answers = first["predictions"] + many["predictions"]
    assert [one["id"] for one in answers] == [1, 2, 3, 4, 5, 6, 7]
    logged = log.read()
    assert logged.ids == (3, 4, 5, 6, 7)
    assert logged.labels == tuple(one["label"] for one in answers[2:])
    assert logged.probabilities == tuple(one["probability"] for one in answers[2:])
    assert torch.equal(logged.inputs, PIXELS[1:])
    assert set(logged.versions) == {"pets"}


def test_a_log_that_fails_does_not_stop_the_answers(folder: Path, tmp_path: Path) -> None:
    log = PredictionLog(tmp_path / "log.db")
    log.close()
    with TestClient(create_app(folder, log=log)) as client:
        answer = client.post("/predict", json={"images": PIXELS.tolist()})
        assert answer.status_code == 200
        assert {one["id"] for one in answer.json()["predictions"]} == {None}
        assert "unlogged_total 6.0" in client.get("/metrics").text


def test_numbers_that_are_too_extreme_for_the_model(tmp_path: Path) -> None:
    save(tmp_path, replace(ROWS, std=(1e-3, 1e-3)))
    log = PredictionLog(tmp_path / "log.db")
    with TestClient(create_app(tmp_path, log=log)) as client:
        answer = client.post("/predict", json={"rows": [{"ram": 3e38, "cores": -3e38}]})
        assert answer.status_code == 422
        assert answer.json()["detail"].startswith("The model has no answer for numbers as extreme as these")
    assert log.read().ids == ()


def test_a_client_that_leaves_while_it_sends_is_no_error_of_the_service(tmp_path: Path) -> None:
    save(tmp_path, IMAGES)
    app = create_app(tmp_path)

    async def receive() -> dict[str, Any]:
        return {"type": "http.disconnect"}

    sent = answer_to(app, receive)
    assert sent[0]["status"] == 400
    with TestClient(app) as client:
        assert 'status="500"' not in client.get("/metrics").text


def test_a_slash_at_the_end_is_another_path(tmp_path: Path) -> None:
    save(tmp_path, IMAGES)
    with TestClient(create_app(tmp_path)) as client:
        answer = client.post("/predict/", follow_redirects=False, headers={"host": "elsewhere.example"})
        assert (answer.status_code, answer.json()) == (404, {"detail": "Not Found"})


def test_the_images_of_one_request_have_a_limit_together(tmp_path: Path) -> None:
    save(tmp_path, IMAGES)
    content = io.BytesIO()
    Image.new("P", (7000, 7000)).save(content, "PNG")  # 6 kB each, half a megabyte together
    images = {"images": [base64.b64encode(content.getvalue()).decode()] * 64}
    with TestClient(create_app(tmp_path)) as client:
        answer = client.post("/predict", json=images)
        assert answer.status_code == 422
        assert answer.json()["detail"].startswith("images.0: The image has 7000 x 7000 pixels, more than 781,250")
