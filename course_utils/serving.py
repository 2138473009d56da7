"""The service as a process of its own, which ends cleanly."""

import gc
import signal
import sys
from pathlib import Path

import torch
import uvicorn

from course_utils.prediction_log import PredictionLog
from course_utils.service import Limits, create_app


def run_service(
    folder: Path, limits: Limits, device: torch.device, log: PredictionLog | None, *, host: str, port: int
) -> None:
    """Serve the model in ``folder`` until SIGTERM or Ctrl+C; then answer what was begun, and close ``log``.

    SIGTERM ends the program with status 0.

    Raises:
        CheckpointError: as ``create_app`` does.
    """
    # After its clean end uvicorn raises the signal again; without a handler that would end the process with 143.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    app = create_app(folder, limits=limits, device=device, log=log)
    # Else the garbage collector looks through all of PyTorch's objects again and again: 0.1 s without an answer.
    gc.freeze()
    try:
        uvicorn.run(
            app,
            host=host,
            port=port,
            timeout_graceful_shutdown=int(limits.seconds) + 1,
            access_log=False,
            server_header=False,
        )
    finally:
        if log is not None:
            log.close()
