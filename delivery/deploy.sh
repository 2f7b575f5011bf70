#!/usr/bin/env bash
# A delivery, in the order that keeps the shop open: record what is deployed, back the database up if a migration is
# pending, migrate the schema beside the running code, roll out the subscribers and then everything, and run the smoke
# test. If that fails, every function goes back to its previous archive, and this script fails. The schema stays: each
# migration is safe beside the previous release.
set -euo pipefail
cd "$(dirname -- "${BASH_SOURCE[0]}")/.."
python=${PYTHON:-python3}
say() { printf '\n=== %s ===\n' "$1"; }

say "Record what is deployed now"
delivery/terraform.sh before
say "Backup, if a migration is pending"
delivery/terraform.sh prepare
"$python" -m delivery.backup --outputs build/outputs.json
say "Migrations, beside the running code"
"$python" -m delivery.migrate --outputs build/outputs.json
say "Roll out"
failed=
# a subscriber of the previous release would reject messages of a new type for good
delivery/terraform.sh subscribers || failed="terraform apply of the subscribers"
if [[ -z $failed ]]; then
    delivery/terraform.sh apply || failed="terraform apply"
fi
if [[ -z $failed ]]; then
    say "Smoke test"
    delivery/terraform.sh outputs
    "$python" -m delivery.smoke --outputs build/outputs.json || failed="the smoke test"
fi
if [[ -n $failed ]]; then
    say "Roll back: $failed failed"
    delivery/terraform.sh rollback
    exit 1
fi
say "Deployed"
