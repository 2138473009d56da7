"""What the service counts, for Prometheus."""

import time

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest
from starlette.types import ASGIApp, Message, Receive, Scope, Send

PATHS = ("/predict", "/health", "/model", "/metrics")


class Metrics:
    """The counts of one service."""

    def __init__(self) -> None:
        self._registry = registry = CollectorRegistry()
        self.requests = Counter("requests", "Requests answered", ["path", "status"], registry=registry)
        self.seconds = Histogram("request_seconds", "Seconds to an answer", ["path"], registry=registry)
        sizes = [2**power for power in range(11)]
        self.sizes = Histogram("batch_size", "Samples in a call of the model", buckets=sizes, registry=registry)
        self.unlogged = Counter("unlogged", "Predictions that the log could not take", registry=registry)
        self._info = Gauge("model_in_use", "1 for the version in use", ["version"], registry=registry)

    def use(self, version: str) -> None:
        """Note the version in use, and that another is not any more."""
        self._info.clear()
        self._info.labels(version).set(1)

    def text(self) -> bytes:
        """Return all of them in Prometheus' format."""
        return generate_latest(self._registry)


class Measured:
    """An application whose requests and their seconds are counted, by path and status."""

    def __init__(self, app: ASGIApp, metrics: Metrics) -> None:
        self.app, self.metrics = app, metrics

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on, and count it when it is answered."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        status, started = 500, time.perf_counter()

        async def note(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
            await send(message)

        try:
            await self.app(scope, receive, note)
        finally:
            path = scope["path"] if scope["path"] in PATHS else "other"  # else anybody could fill the memory
            self.metrics.requests.labels(path, status).inc()
            self.metrics.seconds.labels(path).observe(time.perf_counter() - started)
