"""Write the archives that functions are served from as a Terraform variables file, to which a rollback returns.

    terraform -chdir=terraform output -json | python3 -m delivery.pins - > rollback.tfvars.json
    terraform -chdir=terraform apply -var-file=… -var-file=$PWD/rollback.tfvars.json

Run it before a deployment and keep the file. For a project in which nothing is deployed the map is empty.
"""

import argparse
import json
import sys

from delivery import outputs


def main(arguments: list[str] | None = None) -> int:
    """Run the command."""
    parser = argparse.ArgumentParser(prog="python3 -m delivery.pins")
    parser.add_argument("outputs", help="a file with the output of terraform output -json; - reads standard input")
    chosen = parser.parse_args(arguments)
    sources = outputs.read(chosen.outputs).get("sources") or {}
    print(json.dumps({"pinned_sources": sources}, indent=2, sort_keys=True))
    return 0


if __name__ == "__main__":
    sys.exit(main())
