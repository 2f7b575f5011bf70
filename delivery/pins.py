"""What a rollback pins: the archives that functions were served from, as a Terraform variables file.

    terraform -chdir=terraform output -json | python -m delivery.pins - > rollback.tfvars.json
    terraform -chdir=terraform apply -var-file=… -var-file=$PWD/rollback.tfvars.json

Run before a deployment, and kept beside it. A project with nothing in it has nothing to go back to: {}.
"""

import argparse
import json
import sys

from delivery import outputs


def main(arguments: list[str] | None = None) -> int:
    """Run the command."""
    parser = argparse.ArgumentParser(prog="python -m delivery.pins")
    parser.add_argument("outputs", help="what terraform output -json printed; - for standard input")
    chosen = parser.parse_args(arguments)
    sources = outputs.read(chosen.outputs).get("sources") or {}
    print(json.dumps({"pinned_sources": sources}, indent=2, sort_keys=True))
    return 0


if __name__ == "__main__":
    sys.exit(main())
