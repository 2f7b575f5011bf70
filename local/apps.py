"""Functions as deployed: functions-framework creates each from the root `main.py`; several share one process."""

import os
import sys
from typing import Any

from local.places import ROOT

# create_app sets these, and they would mislead the next call
FRAMEWORK_VARIABLES = ("FUNCTION_TARGET", "FUNCTION_SIGNATURE_TYPE")


def create(target: str) -> Any:
    """Return the target's application: ASGI for an HTTP function, WSGI (Flask) for an event function or a job."""
    import functions_framework

    before = {name: os.environ.pop(name, None) for name in FRAMEWORK_VARIABLES}
    main, path = sys.modules.pop("main", None), list(sys.path)
    try:
        return functions_framework.create_app(target, str(ROOT / "main.py"))  # type: ignore[no-untyped-call]  # the framework has no types
    finally:
        for name, value in before.items():
            os.environ.pop(name, None)
            if value is not None:
                os.environ[name] = value
        sys.modules.pop("main", None)
        if main is not None:
            sys.modules["main"] = main
        if str(ROOT) in path:
            sys.path[:] = path
