"""Requests that arrive together share one call of the model."""

import asyncio
import contextlib
from collections import deque
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Generic, TypeVar

import torch

T = TypeVar("T")


class Overloaded(RuntimeError):
    """More samples wait than may wait."""


@dataclass
class _Request(Generic[T]):
    samples: torch.Tensor
    answer: asyncio.Future[list[T]]
    arrived: float


class Batcher(Generic[T]):
    """Collects the samples of many requests and gives them to ``compute`` together.

    The first request that waits opens a batch; it is computed when it is full, or ``max_wait`` seconds later. While one
    batch is computed, in a thread of its own, the next one fills up.

    Args:
        compute: takes samples (N, ...) and returns N answers in the same order.
        max_batch: samples in one call at most.
        max_wait: seconds that a request waits for company; 0 takes what is there.
        max_waiting: samples that may wait; beyond that a request is refused at once.
        observe: called with the size of each batch.

    Raises:
        ValueError: fewer samples may wait than a batch holds.
    """

    def __init__(
        self,
        compute: Callable[[torch.Tensor], list[T]],
        *,
        max_batch: int,
        max_wait: float,
        max_waiting: int,
        observe: Callable[[int], None],
    ) -> None:
        if max_waiting < max_batch:
            raise ValueError(f"max_waiting is {max_waiting}, but a batch of {max_batch} must be able to wait.")
        self._compute, self._observe = compute, observe
        self._max_batch, self._max_wait, self._max_waiting = max_batch, max_wait, max_waiting
        self._requests: deque[_Request[T]] = deque()
        self._changed = asyncio.Event()
        self._closing = False
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="model")
        self._task: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Begin to compute, in the running event loop."""
        self._task = asyncio.create_task(self._run())

    async def stop(self) -> None:
        """Answer what waits, then end."""
        self._closing = True
        self._changed.set()
        if self._task is not None:
            await self._task
        self._thread.shutdown()

    @property
    def waiting(self) -> int:
        """How many samples wait for an answer that somebody still wants."""
        return sum(len(request.samples) for request in self._requests if not request.answer.done())

    @property
    def running(self) -> bool:
        """Whether requests are answered."""
        return self._task is not None and not self._task.done()

    async def submit(self, samples: torch.Tensor) -> list[T]:
        """Return the N answers of ``compute`` to ``samples`` (N, ...), which are computed together.

        Raises:
            ValueError: they are more than one batch holds.
            Overloaded: too many wait already, or the batcher is not running.
        """
        if len(samples) > self._max_batch:
            raise ValueError(f"There are {len(samples)} samples, but at most {self._max_batch} may come at once.")
        if self._closing or not self.running:
            raise Overloaded("The service is starting or being stopped: try again in a moment.")
        if self.waiting + len(samples) > self._max_waiting:
            raise Overloaded(f"{self.waiting} samples wait already: try again in a moment.")
        loop = asyncio.get_running_loop()
        request: _Request[T] = _Request(samples, loop.create_future(), loop.time())
        self._requests.append(request)
        self._changed.set()
        return await request.answer

    async def _run(self) -> None:
        loop = asyncio.get_running_loop()
        while True:
            while not self._requests:
                if self._closing:
                    return
                await self._change()
            deadline = self._requests[0].arrived + self._max_wait
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout_at(deadline):
                    while self.waiting < self._max_batch and not self._closing:
                        await self._change()
            batch = self._take()
            if not batch:  # all who waited have gone
                continue
            count = sum(len(request.samples) for request in batch)
            try:
                self._observe(count)
                samples = torch.cat([request.samples for request in batch])
                answers = await loop.run_in_executor(self._thread, self._compute, samples)
                if len(answers) != count:
                    raise RuntimeError(f"The model gave {len(answers)} answers to {count} samples.")
            except Exception as error:  # it belongs to those who asked; the next batch may be better
                for request in batch:
                    if not request.answer.done():
                        request.answer.set_exception(error)
                continue
            for request in batch:
                if not request.answer.done():
                    request.answer.set_result(answers[: len(request.samples)])
                answers = answers[len(request.samples) :]

    async def _change(self) -> None:
        self._changed.clear()
        await self._changed.wait()

    def _take(self) -> list[_Request[T]]:
        """Take the requests of the next batch out of the line; leave out those whose client has gone."""
        batch: list[_Request[T]] = []
        room = self._max_batch
        while self._requests and len(self._requests[0].samples) <= room:
            request = self._requests.popleft()
            if not request.answer.done():
                batch.append(request)
                room -= len(request.samples)
        return batch
