"""The catalogue's sections, a module each."""

import importlib
import pkgutil


def load():
    """Enters all rows."""
    for module in sorted(module.name for module in pkgutil.iter_modules(__path__)):
        importlib.import_module(f"{__name__}.{module}")
