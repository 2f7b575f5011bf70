"""Terraform's state without its secrets, for the plans of pull requests: reads it on standard input, and writes a copy.

    terraform -chdir=terraform state pull | python3 -m delivery.plan_state > build/plan.tfstate

Builds of pull requests run code that nobody has reviewed, and the state holds Redis' password
(docs/decisions/0018-secrets.md). What depends on the password is computed from its replacement, as terraform/cache.tf
does, so that a plan shows no change because of it.
"""

import hashlib
import json
import re
import sys
from collections.abc import Iterator
from typing import Any, Final

WITHHELD: Final = "withheld"
REDIS: Final = "google_redis_instance"
ATTRIBUTE: Final = "auth_string"
REDIS_URL: Final = ("google_secret_manager_secret_version", "redis_url")
# names of attributes that may hold a secret, in any resource that is added later; the last are numbers and settings
SECRET: Final = re.compile(r"(^|_)(password|secret_data|private_key|auth_string|token|credentials)(_|$)")
HARMLESS: Final = re.compile(r"_version$|_enabled$|_ttl$|_policy$|_expiry$|oidc_token|oauth_token")


def withhold(state: dict[str, Any]) -> dict[str, Any]:
    """Return a copy of a state in which no attribute holds a secret.

    Raises ValueError with the attribute that still holds one: a new resource needs its own treatment here.
    """
    copy: dict[str, Any] = json.loads(json.dumps(state))
    instances = [
        (resource["type"], resource["name"], instance["attributes"])
        for resource in copy.get("resources", [])
        for instance in resource.get("instances", [])
        if instance.get("attributes")
    ]
    for kind, _name, attributes in instances:
        if kind == REDIS and attributes.get(ATTRIBUTE):
            attributes[ATTRIBUTE] = WITHHELD
            version = hashlib.sha256(f"{WITHHELD}@{attributes['host']}".encode()).hexdigest()[:8]
            for other_kind, other_name, others in instances:
                if (other_kind, other_name) == REDIS_URL:
                    others["secret_data_wo_version"] = version
    for kind, name, attributes in instances:
        for path, value in _texts(attributes):
            if value != WITHHELD and SECRET.search(path[-1]) and not HARMLESS.search(path[-1]):
                raise ValueError(f"{kind}.{name} may hold a secret in {'.'.join(path)}: withhold it in {__name__}")
    return copy


def _texts(value: Any, path: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], str]]:
    """Yield every text that is not empty, with the names that lead to it."""
    if isinstance(value, dict):
        for name, inner in value.items():
            yield from _texts(inner, (*path, name))
    elif isinstance(value, list):
        for inner in value:
            yield from _texts(inner, path)
    elif isinstance(value, str) and value and path:
        yield path, value


def main() -> int:
    """Run the command."""
    try:
        copy = withhold(json.load(sys.stdin))
    except (KeyError, TypeError, ValueError) as error:
        print(f"The state is not copied: {error}", file=sys.stderr)
        return 1
    json.dump(copy, sys.stdout)
    return 0


if __name__ == "__main__":
    sys.exit(main())
