"""Plausible wrong answers to the exercises, one module for each notebook."""

import importlib
import pkgutil

# By notebook (without its number), then by exercise.
WRONG: dict[str, dict[str, dict[str, str]]] = {
    module.name: importlib.import_module(f"{__name__}.{module.name}").WRONG for module in pkgutil.iter_modules(__path__)
}
