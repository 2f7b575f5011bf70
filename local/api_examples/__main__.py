"""Record the examples of the API's description.

python -m local.api_examples            start a small shop, record, and write recorded.json
python -m local.api_examples --check    record, and fail if an answer has other fields than the stored one
"""

import argparse
import sys

from local.api_examples import stored
from local.api_examples.record import record
from local.errors import CommandError
from local.places import ROOT


def main(arguments: list[str] | None = None) -> int:
    """Write the examples, or return 1 if the stored ones are out of date."""
    parser = argparse.ArgumentParser(prog="python -m local.api_examples")
    parser.add_argument("--check", action="store_true")
    is_check = parser.parse_args(arguments).check
    try:
        recorded = record()
    except CommandError as error:
        print(error, file=sys.stderr)
        return 1
    if not is_check:
        stored.write(recorded)
        return 0
    for line in (differences := stored.differences(recorded)):
        print(line, file=sys.stderr)
    if differences:
        print(f"{stored.FILE.relative_to(ROOT)} is out of date. Run: python -m local.api_examples", file=sys.stderr)
    return int(bool(differences))


if __name__ == "__main__":
    sys.exit(main())
