"""Deployment entry point: serve the function or job that FUNCTION_TARGET names."""

from importlib import import_module
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent


def __getattr__(name: str) -> Any:
    # imported on demand: no function pays for another's imports
    for module in (f"functions/{name}/main", f"jobs/{name}"):
        if (HERE / f"{module}.py").is_file():
            return getattr(import_module(module.replace("/", ".")), name)
    raise AttributeError(name)
