"""Terraform's outputs: what `terraform output -json` prints, from a file or from standard input."""

import json
import sys
from pathlib import Path
from typing import Any, Final

_REMEDY: Final = "Create the file with: terraform -chdir=terraform output -json > build/outputs.json"


def read(file: str) -> dict[str, Any]:
    """Return each output's value; ``-`` is standard input. Exits with a reason and the remedy if there are none."""
    try:
        text = sys.stdin.read() if file == "-" else Path(file).read_text()
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is not text"
        sys.exit(f"{file} cannot be read: {reason}. {_REMEDY}")
    try:
        return {name: output["value"] for name, output in json.loads(text).items()}
    except (AttributeError, KeyError, TypeError, ValueError):
        source = "standard input" if file == "-" else file
        sys.exit(f"{source} does not have the form of Terraform's outputs. {_REMEDY}")


def required(outputs: dict[str, Any], name: str) -> Any:
    """Return an output. Exits with a reason and the remedy if Terraform has not created it yet."""
    if name not in outputs:
        sys.exit(f"Terraform has no output {name!r} yet. Apply the whole configuration first: delivery/deploy.sh")
    return outputs[name]
