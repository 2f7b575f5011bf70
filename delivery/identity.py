"""Identity tokens for calling what is not public: from the metadata server in Cloud Build, otherwise from gcloud."""

import subprocess
from urllib.error import URLError
from urllib.parse import quote
from urllib.request import Request, urlopen

METADATA = "http://metadata.google.internal/computeMetadata/v1/instance/service-accounts/default/identity?audience="


def token(audience: str) -> str:
    """Return a token that says who we are to ``audience``. Raises RuntimeError with what to do when there is none."""
    request = Request(METADATA + quote(audience, safe=""), headers={"Metadata-Flavor": "Google"})
    try:
        with urlopen(request, timeout=3) as answer:
            return str(answer.read().decode()).strip()
    except (URLError, OSError):
        pass
    try:
        # a person's token has no audience of one's choice, and Cloud Run takes it without
        done = subprocess.run(
            ["gcloud", "auth", "print-identity-token"], capture_output=True, text=True, timeout=60, check=True
        )
    except (OSError, subprocess.SubprocessError) as error:
        raise RuntimeError(f"No identity token: log in with gcloud auth login ({error}).") from error
    return done.stdout.strip()
