"""Who may do what in a deployment, and why: writes docs/service-accounts.md from functions.yaml.

    python -m delivery.accounts            write docs/service-accounts.md
    python -m delivery.accounts --check    fail when it would be written differently

terraform/ gives the same roles by the same rules; tests/terraform holds the plan against functions.yaml.
"""

import argparse
import sys
from pathlib import Path
from typing import Final

from shared.manifest import Entry, manifest

FILE: Final = Path(__file__).parent.parent / "docs/service-accounts.md"
TEXT: Final = """# Service accounts and their roles

Written by `python -m delivery.accounts` from `functions.yaml`. No role is primitive, and no account has a key. A role is on
one resource unless "project" is said: Cloud SQL's roles and the schedules' have nothing smaller to be given on.

## Functions and jobs

| function | account | called by | roles, and why | in Postgres |
|---|---|---|---|---|
{functions}

* **cloudsql.client**, **cloudsql.instanceUser** (project): the connector finds the instance, and logs in as the account.
* **secretmanager.secretAccessor** on each secret it is given, and on no other. `REDIS_URL` has Redis' password in it.
* **pubsub.publisher**, **pubsub.viewer** on each topic: it publishes; `/health` asks whether the topic is there.
* **pubsub.subscriber** on dead-letter subscriptions: `/admin/dead-letters` looks and replays.
* **aisleSchedules** (project; a role of ours: get, list, run, pause and enable Cloud Scheduler's jobs): `/admin/jobs`.
* **storage.objectViewer** on the bucket of feeds: imports read `gs://`.
* In Postgres `aisle_app` reads and writes rows; `aisle_owner` owns the tables, since jobs make and drop partitions;
  `migrate` starts as `cloudsqlsuperuser`, which makes both roles and the extensions.

## Callers

| account | may call | why |
|---|---|---|
| everybody (`allUsers`) | {public} | shoppers have no Google identity; administration asks for a token of its own |
| `aisle-push` | {events} | Pub/Sub calls as it; Pub/Sub's own agent signs (serviceAccountTokenCreator on it) |
| `aisle-scheduler` | {scheduled} | Cloud Scheduler calls as it |
| `operators`, `aisle-delivery` | {on_demand} | run by hand; `aisle-delivery` may run `migrate` alone |

Cloud Run's IAM checks the OIDC token (signature, audience, account) before a function is started: code of ours that checked
it again would have nothing left to find, so there is none. Event functions and scheduled jobs also take calls from inside
the project only (`ALLOW_INTERNAL_ONLY`, which Pub/Sub's push and Cloud Scheduler count as).

## Machinery

| account | roles | why |
|---|---|---|
| `aisle-builder` | artifactregistry.writer on the images; storage.objectViewer on the archives and on Cloud Functions' staging bucket; logging.logWriter | the buildpacks run as it |
| Pub/Sub's agent | pubsub.publisher on each dead-letter topic, pubsub.subscriber on each subscription, bigquery.dataEditor on the tables | it moves what failed, and writes to BigQuery |
| `aisle-delivery` | what `terraform/delivery.tf` lists; may grant only the roles that Aisle uses; serviceAccountUser on Aisle's accounts | Cloud Build deploys as it |
| `aisle-plans` | viewers; storage.objectViewer on the state | Cloud Build plans pull requests as it; it changes nothing |
"""


def caller(entry: Entry) -> str:
    """Return who calls an entry."""
    if entry.kind == "http":
        return "everybody" if entry.public else "nobody yet"
    if entry.kind == "event":
        return "`aisle-push`"
    return "`aisle-scheduler`" if entry.schedule else "operators"


def roles(entry: Entry, topics: tuple[str, ...]) -> str:
    """Return an entry's roles, each by its short name."""
    found = []
    if "postgres" in entry.needs:
        found.append("cloudsql.client, cloudsql.instanceUser")
    secrets = [*entry.secrets, *(["REDIS_URL"] if "redis" in entry.needs else [])]
    if secrets:
        found.append(f"secretAccessor: {', '.join(secrets)}")
    if "pubsub" in entry.needs:
        found.append(f"pubsub.publisher, pubsub.viewer: {', '.join(topics)}")
    if "/admin" in entry.paths:
        found.append("pubsub.subscriber: dead letters; aisleSchedules")
    if entry.kind == "job" and entry.schedule is None and entry.heavy:
        found.append("storage.objectViewer: feeds")
    return "; ".join(found) or "none"


def acting(entry: Entry) -> str:
    """Return the role that an entry acts in inside Postgres."""
    if "postgres" not in entry.needs:
        return "—"
    if entry.name == "migrate":
        return "`cloudsqlsuperuser`"
    return "`aisle_owner`" if entry.kind == "job" else "`aisle_app`"


def page() -> str:
    """Return docs/service-accounts.md."""
    listed = manifest()
    entries = listed.entries.values()

    def names(chosen: list[Entry]) -> str:
        return ", ".join(entry.name for entry in chosen)

    return TEXT.format(
        functions="\n".join(
            f"| {one.name} | `aisle-{one.name.replace('_', '-')}` | {caller(one)} | {roles(one, listed.topics)} "
            f"| {acting(one)} |"
            for one in entries
        ),
        public=names([one for one in entries if one.public]),
        events=names([one for one in entries if one.kind == "event"]),
        scheduled=names([one for one in entries if one.schedule]),
        on_demand=names([one for one in entries if one.kind == "job" and not one.schedule]),
    )


def main(arguments: list[str] | None = None) -> int:
    """Run the command."""
    parser = argparse.ArgumentParser(prog="python -m delivery.accounts")
    parser.add_argument("--check", action="store_true", help="write nothing; fail when the page is out of date")
    chosen = parser.parse_args(arguments)
    if not chosen.check:
        FILE.write_text(page())
        print(f"wrote {FILE}")
        return 0
    if not FILE.exists() or FILE.read_text() != page():
        print("docs/service-accounts.md is out of date: run python -m delivery.accounts", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
