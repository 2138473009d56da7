"""Plausible wrong answers to the exercises, and right ones of an unusual kind, one module for each notebook."""

import importlib
import pkgutil

_MODULES = {
    module.name: importlib.import_module(f"{__name__}.{module.name}") for module in pkgutil.iter_modules(__path__)
}
# By notebook (without its number), then by exercise.
WRONG: dict[str, dict[str, dict[str, str]]] = {name: module.WRONG for name, module in _MODULES.items()}
RIGHT: dict[str, dict[str, list[str]]] = {name: getattr(module, "RIGHT", {}) for name, module in _MODULES.items()}
