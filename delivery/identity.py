"""Identity tokens for calling private functions: from the metadata server in Cloud Build, otherwise from gcloud."""

import subprocess
from urllib.parse import quote

from delivery import http

METADATA = "http://metadata.google.internal/computeMetadata/v1/instance/service-accounts/default"
CREDENTIALS = "https://iamcredentials.googleapis.com/v1/projects/-/serviceAccounts"
TIMEOUT_S = 5


def _checked(answer: http.Answer) -> http.Answer:
    if answer.status != 200:
        raise OSError(f"{answer.status}: {answer.text(300)}")
    return answer


def _metadata(path: str) -> http.Answer:
    return _checked(http.get(f"{METADATA}/{path}", headers={"Metadata-Flavor": "Google"}, timeout_s=TIMEOUT_S))


def machine_token(audience: str) -> str:
    """Return a token of the account that this machine runs as. Raises OSError where there is none.

    A build's metadata server may have access tokens and no identities: then the account signs one for itself, which
    terraform/delivery.tf lets it.
    """
    try:
        return _metadata(f"identity?audience={quote(audience, safe='')}").body.decode().strip()
    except OSError:
        email, access = _metadata("email").body.decode().strip(), _metadata("token").json()["access_token"]
    body = {"audience": audience, "includeEmail": True}
    url = f"{CREDENTIALS}/{quote(email)}:generateIdToken"
    signed = _checked(http.post(url, body, headers={"Authorization": f"Bearer {access}"}, timeout_s=TIMEOUT_S))
    return str(signed.json()["token"])


def machine_access_token() -> str:
    """Return a token for Google's APIs of the account that this machine runs as. Raises OSError where there is none."""
    return str(_metadata("token").json()["access_token"])


def token(audience: str) -> str:
    """Return a token that proves our identity to ``audience``. Raises RuntimeError with the remedy if there is none."""
    try:
        return machine_token(audience)
    except OSError:
        pass
    # a person's token cannot name an audience, and Cloud Run accepts it without
    return _of_gcloud("identity")


def access_token() -> str:
    """Return a token for Google's APIs: of this machine's account, or gcloud's. Raises RuntimeError with the remedy."""
    try:
        return machine_access_token()
    except OSError:
        return _of_gcloud("access")


def _of_gcloud(kind: str) -> str:
    """Return an ``identity`` or ``access`` token of the logged-in user. Raises RuntimeError with the remedy."""
    try:
        gcloud = subprocess.run(
            ["gcloud", "auth", f"print-{kind}-token"], capture_output=True, text=True, timeout=60, check=True
        )
    except (OSError, subprocess.SubprocessError) as error:
        raise RuntimeError(f"No {kind} token ({error}). Log in with: gcloud auth login") from error
    return gcloud.stdout.strip()
