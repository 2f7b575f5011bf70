"""What Terraform says of a deployment: `terraform output -json`, as a file or from a running Terraform."""

import json
import sys
from pathlib import Path
from typing import Any


def read(file: str) -> dict[str, Any]:
    """Return each output's value; ``-`` is standard input. Exits with a reason when it is no such file."""
    try:
        text = sys.stdin.read() if file == "-" else Path(file).read_text()
        return {name: output["value"] for name, output in json.loads(text).items()}
    except (OSError, ValueError, KeyError, TypeError) as error:
        sys.exit(f"{file} is not what terraform output -json prints: {error}")


def wanted(outputs: dict[str, Any], name: str) -> Any:
    """Return an output. Exits with a reason when Terraform has not made it yet."""
    if name not in outputs:
        sys.exit(f"Terraform has no output {name} yet; is everything applied?")
    return outputs[name]
