"""Identity tokens for calling what is not public: from the metadata server in Cloud Build, otherwise from gcloud."""

import json
import subprocess
from urllib.error import URLError
from urllib.parse import quote
from urllib.request import Request, urlopen

METADATA = "http://metadata.google.internal/computeMetadata/v1/instance/service-accounts/default"
CREDENTIALS = "https://iamcredentials.googleapis.com/v1/projects/-/serviceAccounts"
TIMEOUT_S = 5


def _get(path: str) -> str:
    request = Request(f"{METADATA}/{path}", headers={"Metadata-Flavor": "Google"})
    with urlopen(request, timeout=TIMEOUT_S) as answer:
        return str(answer.read().decode()).strip()


def of_the_machine(audience: str) -> str:
    """Return a token of the account that this machine runs as. Raises OSError where there is none.

    A build's metadata server may have access tokens and no identities: then the account signs one for itself, which
    terraform/delivery.tf lets it.
    """
    try:
        return _get(f"identity?audience={quote(audience, safe='')}")
    except URLError:
        email, access = _get("email"), json.loads(_get("token"))["access_token"]
    body = json.dumps({"audience": audience, "includeEmail": True}).encode()
    headers = {"Authorization": f"Bearer {access}", "Content-Type": "application/json"}
    request = Request(f"{CREDENTIALS}/{quote(email)}:generateIdToken", body, headers)
    with urlopen(request, timeout=TIMEOUT_S) as answer:
        return str(json.load(answer)["token"])


def token(audience: str) -> str:
    """Return a token that says who we are to ``audience``. Raises RuntimeError with what to do when there is none."""
    try:
        return of_the_machine(audience)
    except OSError:
        pass
    try:
        # a person's token has no audience of one's choice, and Cloud Run takes it without
        done = subprocess.run(
            ["gcloud", "auth", "print-identity-token"], capture_output=True, text=True, timeout=60, check=True
        )
    except (OSError, subprocess.SubprocessError) as error:
        raise RuntimeError(f"No identity token: log in with gcloud auth login ({error}).") from error
    return done.stdout.strip()
