"""The service accounts of a deployment, their roles, and why: writes docs/service-accounts.md from functions.yaml.

    python3 -m delivery.accounts            write docs/service-accounts.md
    python3 -m delivery.accounts --check    fail if docs/service-accounts.md is out of date

terraform/ grants the same roles by the same rules; tests/terraform compares the plan with functions.yaml.
"""

import argparse
import sys
from pathlib import Path
from typing import Final

from shared.manifest import Entry, manifest

# the jobs that submit batches of Spark and read their results, where var.similarity_engine is not local
SPARK_CALLERS: Final = frozenset({"similarity", "finish_training"})
FILE: Final = Path(__file__).parent.parent / "docs/service-accounts.md"
TEXT: Final = """# Service accounts and their roles

Written by `python3 -m delivery.accounts` from `functions.yaml`. There are no primitive roles and no account keys. A role is
granted on a single resource, unless it is marked "project": Cloud SQL, Cloud Scheduler and Cloud Monitoring grant nothing
smaller.

## Functions and jobs

| function | account | called by | roles, and why | in Postgres |
|---|---|---|---|---|
{functions}

* **cloudsql.client**, **cloudsql.instanceUser** (project): the connector finds the instance and logs in as the account.
* **secretmanager.secretAccessor** on the listed secrets only. `REDIS_URL` contains the password of Redis.
  Where `mail` names a secret, `accounts`, `admin` and `edge` read it as `MAIL_PASSWORD`.
* **pubsub.publisher** on the listed topics. Each of these functions also has **pubsub.viewer** on every topic: `/health` and
  `./aisle doctor` check that they exist.
* **pubsub.subscriber** on dead-letter subscriptions: `/admin/dead-letters` lists and replays messages, and so does the job `replay_dead_letters`.
* **aisleSchedules** (project; a custom role: get, list, run, pause and enable jobs of Cloud Scheduler): `/admin/jobs`.
* **monitoring.viewer** (project): `/admin/operations` reads the figures of Pub/Sub, Cloud Run and the functions.
* **storage.objectViewer** on the bucket of feeds: imports read `gs://`.
* **storage.objectUser** on the bucket of uploaded images: `products` keeps them. **iam.serviceAccountTokenCreator** on its
  own account: it signs the addresses to which images are sent. **storage.objectViewer** on that bucket: `web` serves them.
* **secretmanager.secretAccessor** (project, on names that begin with `aisle-feed-`): `import_feeds` reads the credentials
  of scheduled feeds.
* **aisleBatches** (project; a custom role: create and get batches of Dataproc), **storage.objectUser** on the bucket of
  events and neighbours, **iam.serviceAccountUser** on `aisle-spark`: only where `similarity_engine` is not `local`.
* In Postgres, `aisle_app` reads and writes rows, and so does `aisle_jobs`, which also creates and drops partitions by
  functions of the owner. `aisle_owner` owns the tables. `migrate` starts as `cloudsqlsuperuser`, which creates the roles
  and the extensions.

**`aisle-edge` has the roles of all public functions together**, since `edge` runs them in one process: a fault in one of them
reaches what any of them may do. It exists only with `entry = "functions"`. Behind the load balancer, which is the recommended
form, each function keeps to its own account ([decision 0071](decisions/0071-one-address-without-a-domain.md)).

## Callers

| account | may call | why |
|---|---|---|
| everybody (`allUsers`; with `public_access = "none"` nobody) | {public} | shoppers have no Google identity; administration requires a token of its own |
| `aisle-push` | {events} | the account of Pub/Sub's push; Pub/Sub's agent signs its tokens (serviceAccountTokenCreator on it) |
| `aisle-scheduler` | {scheduled} | the account of Cloud Scheduler |
| `operators`, `aisle-delivery` | {on_demand} | run by hand; `aisle-delivery` may run `migrate` only. `first_admin` opens the account of any address, and `export_shop` writes personal data: name operators sparingly |

Cloud Run's IAM checks the OIDC token (signature, audience, account) before a function starts, so our code does not check
it again. Event functions and scheduled jobs accept internal calls only (`ALLOW_INTERNAL_ONLY`, which includes Pub/Sub's
push and Cloud Scheduler).

## Machinery

| account | roles | why |
|---|---|---|
| `aisle-builder` | artifactregistry.writer on the images; storage.objectViewer on the archives and on Cloud Functions' staging bucket; logging.logWriter | the account of the buildpacks |
| `aisle-spark` | dataproc.worker (project; of buckets, that of batches and Dataproc's own); storage.objectUser on the bucket of batches; artifactregistry.reader on their image | the account of Spark's driver and executors, where `similarity_engine` is not `local`. It cannot reach the database, the cache or a secret |
| Pub/Sub's agent | pubsub.publisher on each dead-letter topic, pubsub.subscriber on each subscription, bigquery.dataEditor on the tables | it moves failed messages, and writes to BigQuery |
| `aisle-delivery` | the list in `terraform/delivery.tf`; may grant on the project only the roles that functions, operators and the builder hold, without those of Spark; serviceAccountUser on Aisle's accounts | the account of Cloud Build's deployments. An owner applies changes of its own roles, and of `similarity_engine` from or to `local` |
| `aisle-plans` | browser, logging.logWriter, serviceusage.serviceUsageConsumer; storage.objectViewer on a copy of the state without secrets | the account of Cloud Build's plans of pull requests; it reads no resource and no secret |
"""


def caller(entry: Entry) -> str:
    """Return the callers of an entry."""
    if entry.kind in ("http", "edge"):
        return "everybody" if entry.public else "nobody yet"
    if entry.kind == "event":
        return "`aisle-push`"
    return "`aisle-scheduler`" if entry.schedule else "operators"


def roles(entry: Entry) -> str:
    """Return an entry's roles, each by its short name."""
    granted = []
    if "postgres" in entry.needs:
        granted.append("cloudsql.client, cloudsql.instanceUser")
    secrets = [*entry.secrets, *(["REDIS_URL"] if "redis" in entry.needs else [])]
    if secrets:
        granted.append(f"secretAccessor: {', '.join(secrets)}")
    if "pubsub" in entry.needs:
        granted.append(f"pubsub.publisher: {', '.join(entry.publishes)}")
    if "/admin" in entry.paths:
        granted.append("pubsub.subscriber: dead letters; aisleSchedules; monitoring.viewer")
    if "/products" in entry.paths:
        granted.append("storage.objectUser: images; serviceAccountTokenCreator: itself")
    elif "/images" in entry.paths:
        granted.append("storage.objectViewer: images")
    if entry.name == "replay_dead_letters":
        granted.append("pubsub.subscriber: dead letters")
    if entry.kind == "job" and entry.heavy and (entry.schedule is None or entry.name == "import_feeds"):
        granted.append("storage.objectViewer: feeds")
    if entry.name == "import_feeds":
        granted.append("secretAccessor: aisle-feed-…")
    if entry.name in SPARK_CALLERS:
        granted.append("with Spark: aisleBatches; storage.objectUser: spark; serviceAccountUser: `aisle-spark`")
    return "; ".join(granted) or "none"


def postgres_role(entry: Entry) -> str:
    """Return the role that an entry assumes in Postgres."""
    if "postgres" not in entry.needs:
        return "—"
    if entry.name == "migrate":
        return "`cloudsqlsuperuser`"
    return "`aisle_jobs`" if entry.kind == "job" else "`aisle_app`"


def page() -> str:
    """Return the text of docs/service-accounts.md."""
    listed = manifest()
    entries = listed.entries.values()

    def names(chosen: list[Entry]) -> str:
        return ", ".join(entry.name for entry in chosen)

    return TEXT.format(
        functions="\n".join(
            f"| {entry.name} | `aisle-{entry.name.replace('_', '-')}` | {caller(entry)} | {roles(entry)} "
            f"| {postgres_role(entry)} |"
            for entry in entries
        ),
        public=names([entry for entry in entries if entry.public]),
        events=names([entry for entry in entries if entry.kind == "event"]),
        scheduled=names([entry for entry in entries if entry.schedule]),
        on_demand=names([entry for entry in entries if entry.kind == "job" and not entry.schedule]),
    )


def main(arguments: list[str] | None = None) -> int:
    """Run the command."""
    parser = argparse.ArgumentParser(prog="python3 -m delivery.accounts")
    parser.add_argument("--check", action="store_true", help="write nothing; fail if the page is out of date")
    chosen = parser.parse_args(arguments)
    if not chosen.check:
        FILE.write_text(page())
        print(f"wrote {FILE}")
        return 0
    if not FILE.exists() or FILE.read_text() != page():
        print("docs/service-accounts.md is out of date. Run: python3 -m delivery.accounts", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
