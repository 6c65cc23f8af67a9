"""Plug-ins found by their file name: a corpus, a feature, a method is a module in its package.

Plug-ins are loaded by name at run time and imported by no other module, so that a change of one leaves the
fingerprints of the others alone.
"""

import functools
import importlib
import pkgutil
from types import ModuleType

from serflow.errors import ConfigError


def plugin_names(package: str) -> list[str]:
    """Return the modules of ``package`` that are plug-ins: all but ``base`` and those starting with ``_``."""
    return list(_plugin_names(package))


@functools.cache
def _plugin_names(package: str) -> tuple[str, ...]:
    """Return the same; the rules ask a thousand times."""
    modules = (module.name for module in pkgutil.iter_modules(importlib.import_module(package).__path__))
    return tuple(sorted(name for name in modules if name != "base" and not name.startswith("_")))


def load_plugin(package: str, name: str, what: str, where: str) -> ModuleType:
    """Return a plug-in of ``package``; ``what`` and ``where`` say in the message what it is and of what.

    Raises
    ------
    ConfigError
        If there is no such plug-in.
    """
    names = plugin_names(package)
    if name not in names:
        raise ConfigError(f"no {what} {name!r} in {where}; known: {', '.join(names)}")
    return importlib.import_module(f"{package}.{name}")
