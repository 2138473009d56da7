"""What a training pass refuses before it begins, each with one sentence that says what to do."""

import torch
from torch import nn

from course_utils.device import device_of


def check_device(model: nn.Module, device: torch.device | str | None) -> torch.device:
    """Return where to compute: ``device``, or the model's own if that is None."""
    own = device_of(model)
    if device is None:
        return own
    device = torch.device(device)
    if device.type != own.type and next(model.parameters(), None) is not None:
        raise ValueError(f"device is {device}, but the model is on {own}: call model.to({str(device)!r}) first.")
    return device


def check_optimizer(model: nn.Module, optimizer: torch.optim.Optimizer, device: torch.device) -> None:
    """Raise unless ``optimizer`` is one, for parameters of ``model`` on ``device``."""
    if not isinstance(optimizer, torch.optim.Optimizer):
        raise TypeError(
            f"The optimizer is a {type(optimizer).__name__}: the order is model, loader, loss_fn, optimizer."
        )
    if isinstance(optimizer, torch.optim.LBFGS):
        raise TypeError(
            "LBFGS computes a batch's loss several times a step, and train_epoch once: use another optimizer."
        )
    held = [parameter for group in optimizer.param_groups for parameter in group["params"]]
    if held and not any(parameter.device.type == device.type for parameter in held):
        raise ValueError(
            f"The model is on {device}, but the optimizer's parameters are on {held[0].device}: move the model "
            "first, then create the optimizer from model.parameters()."
        )
    own = {id(parameter) for parameter in model.parameters()}
    if not any(id(parameter) in own for parameter in held):
        raise ValueError(
            "The optimizer holds no parameter of this model, so training would change nothing: create the "
            "optimizer from model.parameters() after the model."
        )


def check_options(
    clip_norm: float | None,
    accumulate: int,
    amp_dtype: torch.dtype | None,
    scaler: torch.amp.GradScaler | None,
    scheduler: torch.optim.lr_scheduler.LRScheduler | None,
    device: torch.device,
) -> None:
    """Raise for an option of train_epoch that is out of range or does not go with another."""
    if accumulate < 1:
        raise ValueError(f"accumulate is {accumulate}, but it counts the batches of one step: give 1 or more.")
    if clip_norm is not None and not clip_norm > 0:
        raise ValueError(f"clip_norm is {clip_norm}, but it is the largest norm allowed: give a number above 0.")
    if amp_dtype is torch.float16 and (scaler is None or not scaler.is_enabled()):
        raise ValueError(
            "amp_dtype=torch.float16 needs a scaler that is switched on, or small gradients become 0: pass "
            f"scaler=torch.amp.GradScaler({device.type!r}), or use torch.bfloat16."
        )
    if isinstance(scheduler, torch.optim.lr_scheduler.ReduceLROnPlateau):
        raise ValueError(
            "ReduceLROnPlateau needs the validation loss of each epoch, so it cannot be stepped after a batch: give it "
            "to fit, without step_scheduler, or step it yourself after evaluate."
        )
