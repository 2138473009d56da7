"""A trained model as a web service: ``python -m course_utils serve FOLDER``.

FastAPI, Pydantic and prometheus_client are imported with this module; nothing else in course_utils imports it.
"""

import asyncio
import logging
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from fastapi import FastAPI, Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse, PlainTextResponse
from pydantic import BaseModel
from starlette.exceptions import HTTPException as StarletteError
from starlette.requests import ClientDisconnect

from course_utils.batching import Batcher, Overloaded
from course_utils.bundles import DESCRIPTION, WEIGHTS, Bundle, load_bundle
from course_utils.checkpoints import CheckpointError
from course_utils.prediction_log import PredictionLog
from course_utils.service_inputs import Inputs, Refused, read_samples
from course_utils.service_metrics import Measured, Metrics
from course_utils.versions import bundle_folder

LOG = logging.getLogger("uvicorn.error")


@dataclass(frozen=True)
class Limits:
    """What the service takes at most.

    ``body`` is in bytes, ``batch`` in samples for one request and for one call of the model, ``wait`` in seconds that
    a request waits for company (0 for none), ``waiting`` in samples that wait, ``seconds`` for reading a request and
    for answering it.
    """

    body: int = 4_000_000
    batch: int = 64
    wait: float = 0.005
    waiting: int = 1024
    seconds: float = 10.0


class Prediction(BaseModel):
    """The most probable class, the probability of each, and the number in the log of predictions if one is kept."""

    label: str
    probability: float
    probabilities: dict[str, float]
    id: int | None = None


class Answer(BaseModel):
    """The predictions in the order of the request, and the version of the model that made them all."""

    model: str
    predictions: list[Prediction]


class Markdown(PlainTextResponse):
    """A model card."""

    media_type = "text/markdown"


class Problem(BaseModel):
    """What was wrong with a request, in one sentence."""

    detail: str


def create_app(
    folder: str | Path,
    *,
    limits: Limits | None = None,
    look: float = 1.0,
    device: torch.device | str = "cpu",
    log: PredictionLog | None = None,
) -> FastAPI:
    """Return the service for the model in ``folder``: a bundle, or versions of which one is in use.

    Another version in use is noticed within ``look`` seconds and answers from then on; no request is lost. Every
    prediction goes into ``log`` before it is answered. Should the log fail, answers go on, and errors and a counter
    tell of it.

    Raises:
        CheckpointError: there is no model in ``folder``, or it is damaged.
    """
    return _Service(Path(folder), limits or Limits(), look, torch.device(device), log).app


@dataclass(frozen=True)
class _Model:
    version: str
    bundle: Bundle
    card: str
    written: int  # when its description was, in nanoseconds


class _Service:
    def __init__(
        self, folder: Path, limits: Limits, look: float, device: torch.device, log: PredictionLog | None
    ) -> None:
        self.folder, self.limits, self.look, self.device, self.log = folder, limits, look, device, log
        self.model = self._load()
        self.counts = Metrics()
        self.counts.use(self.model.version)
        self.decoders = asyncio.Semaphore(os.cpu_count() or 1)  # a large image takes some 300 MB meanwhile
        self.batcher: Batcher[tuple[str, Prediction | None]] | None = None
        problems: dict[int | str, dict[str, Any]] = {
            code: {"model": Problem} for code in (400, 408, 413, 415, 422, 503)
        }
        binary = {"schema": {"type": "string", "format": "binary"}}
        body = {"application/json": {"schema": Inputs.model_json_schema()}, "image/png": binary, "image/jpeg": binary}
        self.app = FastAPI(title="A trained model", redirect_slashes=False, lifespan=self._lifespan)
        self.app.add_middleware(Measured, metrics=self.counts)
        self.app.add_exception_handler(StarletteError, _sentence)
        self.app.add_exception_handler(RequestValidationError, _sentence)
        self.app.post(
            "/predict",
            response_model=Answer,
            responses=problems,
            openapi_extra={"requestBody": {"required": True, "content": body}},
        )(self.predict)
        self.app.get("/health")(self.health)
        self.app.get("/model", response_class=Markdown)(self.model_card)
        self.app.get("/metrics", response_class=PlainTextResponse)(self.metrics)

    async def predict(self, request: Request) -> Answer:
        """Name the class of one image (PNG or JPEG as the body), or of many images or rows (JSON)."""
        try:
            async with asyncio.timeout(self.limits.seconds):
                body = await self._read(request)
        except TimeoutError:
            raise Refused(408, f"The body took longer than {self.limits.seconds:g} seconds: send it faster.") from None
        kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
        description = self.model.bundle.description
        batcher = self._running()
        try:
            async with asyncio.timeout(self.limits.seconds):
                async with self.decoders:
                    samples = await asyncio.to_thread(read_samples, kind, body, description, self.limits.batch)
                answers = await batcher.submit(samples)
        except (Overloaded, TimeoutError) as error:
            reason = str(error) or "The model took too long: try again in a moment."
            raise Refused(503, reason, {"Retry-After": "1"}) from error
        predictions = [prediction for _, prediction in answers if prediction is not None]
        if len(predictions) < len(answers):
            raise Refused(422, "The model has no answer for numbers as extreme as these: check their units.")
        return Answer(model=answers[0][0], predictions=predictions)

    async def health(self) -> dict[str, str]:
        """Say that the service is up, and which version of the model answers."""
        self._running()
        return {"status": "ok", "model": self.model.version}

    async def model_card(self) -> Response:
        """Return the model card of the version that answers, in Markdown."""
        return Markdown(self.model.card)

    async def metrics(self) -> Response:
        """Return counts and times in Prometheus' format."""
        return PlainTextResponse(self.counts.text(), media_type="text/plain; version=0.0.4")

    def _running(self) -> Batcher[tuple[str, Prediction | None]]:
        if self.batcher is None or not self.batcher.running:
            raise Refused(503, "The service does not answer: start it again.")
        return self.batcher

    def _load(self) -> _Model:
        version, folder = bundle_folder(self.folder)
        written = (folder / DESCRIPTION).stat().st_mtime_ns
        card = (folder / f"{WEIGHTS}.md").read_text(encoding="utf-8")
        return _Model(version, load_bundle(folder, device=self.device), card, written)

    @asynccontextmanager
    async def _lifespan(self, app: FastAPI) -> AsyncIterator[None]:
        limits = self.limits
        self.batcher = Batcher(
            self._compute,
            max_batch=limits.batch,
            max_wait=limits.wait,
            max_waiting=max(limits.waiting, limits.batch),
            observe=self.counts.sizes.observe,
        )
        self.batcher.start()
        watching = asyncio.create_task(self._watch())
        yield
        watching.cancel()
        await self.batcher.stop()

    def _compute(self, samples: torch.Tensor) -> list[tuple[str, Prediction | None]]:
        model = self.model  # one look: the version may be changed meanwhile
        names = model.bundle.description.class_names
        shares = model.bundle.logits(samples).softmax(dim=1)
        good = shares.isfinite().all(dim=1)
        found = [_prediction(row, names) for row in shares[good].tolist()]
        if self.log is not None:
            try:
                labels, probabilities = [one.label for one in found], [one.probability for one in found]
                ids = self.log.append(model.version, labels, probabilities, samples[good])
            except (OSError, ValueError) as error:
                LOG.error("%s", error)
                self.counts.unlogged.inc(len(found))
            else:
                for one, number in zip(found, ids, strict=True):
                    one.id = number
        rest = iter(found)
        return [(model.version, next(rest) if fine else None) for fine in good.tolist()]

    async def _watch(self) -> None:
        """Take over another version as soon as it is in use; one that does not work changes nothing."""
        problem = ""
        while True:
            await asyncio.sleep(self.look)
            try:
                version, folder = bundle_folder(self.folder)
                if (version, (folder / DESCRIPTION).stat().st_mtime_ns) == (self.model.version, self.model.written):
                    continue
                model = await asyncio.to_thread(self._load)
                new, old = model.bundle.description, self.model.bundle.description
                if (new.input_shape, new.columns) != (old.input_shape, old.columns):
                    raise CheckpointError(f"version {version} takes other inputs: start a service of its own for it.")
            except (CheckpointError, OSError) as error:
                if str(error) != problem:
                    LOG.error("The model in use stays %s: %s", self.model.version, error)
                problem = str(error)
            else:
                self.counts.use(model.version)
                LOG.info("The model in use is %s now, after %s.", model.version, self.model.version)
                self.model, problem = model, ""

    async def _read(self, request: Request) -> bytes:
        body = bytearray()
        try:
            async for chunk in request.stream():
                body += chunk
                if len(body) > self.limits.body:
                    raise Refused(413, f"The body is larger than {self.limits.body:,} bytes: send less at once.")
        except ClientDisconnect:  # nobody hears the answer; the metrics do
            raise Refused(400, "The body ended before its end: send it again.") from None
        return bytes(body)


def _prediction(row: list[float], names: tuple[str, ...]) -> Prediction:
    best = max(range(len(names)), key=row.__getitem__)
    return Prediction(label=names[best], probability=row[best], probabilities=dict(zip(names, row, strict=True)))


async def _sentence(request: Request, error: Exception) -> JSONResponse:
    status, headers = (error.status_code, error.headers) if isinstance(error, StarletteError) else (422, None)
    detail = error.detail if isinstance(error, StarletteError) else "The request does not fit the description in /docs."
    return JSONResponse({"detail": detail}, status_code=status, headers=headers)
