"""A trained model as one file that other programs run, its preprocessing inside."""

import copy
import io
import json
import warnings
from pathlib import Path
from typing import Literal

import torch

from course_utils.bundles import DESCRIPTION, Bundle, Prepared
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

    Beside the model the file holds the names of classes and columns and of the data set, as JSON: among the metadata of
    ONNX, or in the extra file ``model.json`` of ``torch.export.load``.

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
    names = bundle.description
    about = {"class_names": names.class_names, "columns": names.columns, "dataset": names.dataset}
    content = io.BytesIO()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of the exporter about itself
        if kind == "pt2":
            program = torch.export.export(model, example, dynamic_shapes=shapes)
            torch.export.save(program, content, extra_files={DESCRIPTION: json.dumps(about)})
        else:
            from onnx.helper import set_model_props

            exported = torch.onnx.export(
                model,
                example,
                dynamo=True,
                dynamic_shapes=shapes,
                input_names=["inputs"],
                output_names=["logits"],
                verbose=False,
            )
            assert exported is not None
            proto = exported.model_proto
            set_model_props(proto, {name: json.dumps(value) for name, value in about.items()})
            content.write(proto.SerializeToString())
    write_file(Path(path), content.getbuffer())
