"""A trained model as one file that other programs run, its preprocessing inside."""

import copy
import io
import warnings
from pathlib import Path
from typing import Literal

import torch

from course_utils.bundles import Bundle, Prepared
from course_utils.checkpoints import write_file


def example_inputs(bundle: Bundle, batch: int) -> torch.Tensor:
    """Return ``batch`` made-up inputs of the right type and shape for :class:`course_utils.bundles.Prepared`."""
    shape = (batch, *bundle.description.input_shape)
    generator = torch.Generator().manual_seed(0)
    if bundle.description.columns:
        return torch.randn(shape, generator=generator)
    return torch.randint(0, 256, shape, dtype=torch.uint8, generator=generator)


def export_bundle(bundle: Bundle, path: str | Path, *, kind: Literal["onnx", "pt2"]) -> None:
    """Write ``bundle`` to ``path`` for batches of any size: one input, ``inputs``, and one output, ``logits``.

    ``"onnx"`` is run by onnxruntime, OpenVINO and others, ``"pt2"`` (torch.export) by ``torch.export.load``. The file
    is there whole or not at all.

    Raises:
        CheckpointError: the file cannot be written.
        ValueError: there is no such ``kind``.
    """
    if kind not in ("onnx", "pt2"):
        raise ValueError(f"kind is {kind!r}: give 'onnx' or 'pt2'.")
    model = Prepared(copy.deepcopy(bundle.model).cpu(), bundle.description).eval()  # the caller's stays as it is
    example, shapes = (example_inputs(bundle, 2),), {"inputs": {0: torch.export.Dim("batch", min=1)}}
    content = io.BytesIO()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of the exporter about itself
        if kind == "pt2":
            torch.export.save(torch.export.export(model, example, dynamic_shapes=shapes), content)
        else:
            program = torch.onnx.export(
                model,
                example,
                dynamo=True,
                dynamic_shapes=shapes,
                input_names=["inputs"],
                output_names=["logits"],
                verbose=False,
            )
            assert program is not None
            content.write(program.model_proto.SerializeToString())
    write_file(Path(path), content.getbuffer())
