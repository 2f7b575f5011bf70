"""Let the first admin into a deployment: print a link that sets the password of an address's account once.

    python -m delivery.admin --outputs outputs.json ada@example.com

It calls the job first_admin, which operators alone may call. An account that exists becomes an admin, and loses its
password and every session: somebody else may have registered the address beforehand. The link is valid for an hour; a
new call replaces it.
"""

import argparse
import sys
from datetime import UTC, datetime
from typing import Any

from delivery import identity, outputs, private_jobs


def describe(email: str, answer: dict[str, Any]) -> str:
    """Return what an operator has to know about the account before handing the link over."""
    if not answer["existed"]:
        return f"{email} has a new account and is an admin ({answer['user_id']})."
    since = datetime.fromisoformat(answer["created_at"]).astimezone(UTC).strftime("%Y-%m-%d %H:%M UTC")
    verified = "is verified" if answer["email_verified"] else "is not verified"
    return (
        f"{email} has had an account since {since} and is now an admin ({answer['user_id']}). Its address {verified}. "
        "Its old password no longer works, and every earlier login has ended."
    )


def main(arguments: list[str] | None = None) -> int:
    """Run the command."""
    parser = argparse.ArgumentParser(prog="python -m delivery.admin")
    source = parser.add_mutually_exclusive_group(required=True)
    source.add_argument("--outputs", help="a file with the output of terraform output -json; - reads standard input")
    source.add_argument("--url", help="the first_admin job's URL")
    parser.add_argument("--without-token", action="store_true", help="send no identity token, for a local system")
    parser.add_argument("email", help="the admin's address")
    chosen = parser.parse_args(arguments)
    url = chosen.url or outputs.required(outputs.read(chosen.outputs), "urls")["first_admin"]
    try:
        token = "" if chosen.without_token else identity.token(url)
        answer = private_jobs.call(url, token, {"email": chosen.email})
    except RuntimeError as error:
        print(f"first_admin failed: {error}", file=sys.stderr)
        return 1
    print(describe(chosen.email, answer))
    print("This link sets the password once, within an hour. Open it, or send it through a channel that you trust:")
    print(answer["url"])
    return 0


if __name__ == "__main__":
    sys.exit(main())
