"""Terraform's outputs: what `terraform output -json` prints, from a file or from standard input."""

import json
import sys
from pathlib import Path
from typing import Any


def read(file: str) -> dict[str, Any]:
    """Return each output's value; ``-`` is standard input. Exits with a reason if the text is not such output."""
    try:
        text = sys.stdin.read() if file == "-" else Path(file).read_text()
        return {name: output["value"] for name, output in json.loads(text).items()}
    except (OSError, ValueError, KeyError, TypeError) as error:
        sys.exit(f"{file} does not hold the output of terraform output -json: {error}")


def required(outputs: dict[str, Any], name: str) -> Any:
    """Return an output. Exits with a reason and the remedy if Terraform has not created it yet."""
    if name not in outputs:
        sys.exit(f"Terraform has no output {name!r} yet. Apply the whole configuration first: delivery/deploy.sh")
    return outputs[name]
