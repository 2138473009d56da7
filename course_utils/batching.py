"""Requests that arrive together share one call of the model."""

import asyncio
from collections import deque
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

import torch


class Overloaded(RuntimeError):
    """More samples wait than may wait."""


@dataclass
class _Request:
    samples: torch.Tensor
    answer: asyncio.Future[tuple[torch.Tensor, Any]]
    arrived: float


class Batcher:
    """Collects the samples of many requests and gives them to ``compute`` together.

    The first request that waits opens a batch; it is computed when it is full, or ``max_wait`` seconds later. While one
    batch is computed, in a thread of its own, the next one fills up.

    Args:
        compute: takes samples (N, ...) and returns N rows in the same order, and a word that goes with all of them
            (which model it was, say).
        max_batch: samples in one call at most.
        max_wait: seconds that a request waits for company; 0 takes what is there.
        max_waiting: samples that may wait; beyond that a request is refused at once.
        observe: called with the size of each batch.
    """

    def __init__(
        self,
        compute: Callable[[torch.Tensor], tuple[torch.Tensor, Any]],
        *,
        max_batch: int,
        max_wait: float,
        max_waiting: int,
        observe: Callable[[int], None],
    ) -> None:
        self._compute, self._observe = compute, observe
        self._max_batch, self._max_wait, self._max_waiting = max_batch, max_wait, max_waiting
        self._requests: deque[_Request] = deque()
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
        """How many samples wait."""
        return sum(len(request.samples) for request in self._requests)

    async def submit(self, samples: torch.Tensor) -> tuple[torch.Tensor, Any]:
        """Return what ``compute`` gives for ``samples`` (N, ...): N rows, and the word that goes with them.

        Raises:
            ValueError: they are more than one batch holds.
            Overloaded: too many wait already, or the service is being stopped.
        """
        if len(samples) > self._max_batch:
            raise ValueError(f"There are {len(samples)} samples, but at most {self._max_batch} may come at once.")
        if self._closing or self.waiting + len(samples) > self._max_waiting:
            raise Overloaded(f"{self.waiting} samples wait already: try again in a moment.")
        loop = asyncio.get_running_loop()
        request = _Request(samples, loop.create_future(), loop.time())
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
            while self.waiting < self._max_batch and not self._closing and (rest := deadline - loop.time()) > 0:
                try:
                    await asyncio.wait_for(self._change(), rest)
                except TimeoutError:
                    break
            batch = self._take()
            if not batch:  # all who waited have gone
                continue
            samples = torch.cat([request.samples for request in batch])
            self._observe(len(samples))
            try:
                rows, word = await loop.run_in_executor(self._thread, self._compute, samples)
            except Exception as error:  # it belongs to those who asked; the next batch may be better
                for request in batch:
                    if not request.answer.done():
                        request.answer.set_exception(error)
                continue
            for request, answer in zip(batch, rows.split([len(request.samples) for request in batch]), strict=True):
                if not request.answer.done():
                    request.answer.set_result((answer, word))

    async def _change(self) -> None:
        self._changed.clear()
        await self._changed.wait()

    def _take(self) -> list[_Request]:
        """Take the requests of the next batch out of the line; leave out those whose client has gone."""
        batch: list[_Request] = []
        room = self._max_batch
        while self._requests and len(self._requests[0].samples) <= room:
            request = self._requests.popleft()
            if not request.answer.done():
                batch.append(request)
                room -= len(request.samples)
        return batch
