#!/usr/bin/env bash
# A whole delivery, in the order that keeps a shop open: what is deployed is written down, the schema is migrated beside
# the code that runs, everything is rolled out, and asked for what a shopper asks. When that fails, every function goes back to
# the archive it was served from, and this fails. The schema stays: each migration is safe beside the release before it.
set -euo pipefail
cd "$(dirname -- "${BASH_SOURCE[0]}")/.."
python=${PYTHON:-python3}
say() { printf '\n=== %s ===\n' "$1"; }

say "What is deployed now"
delivery/terraform.sh before
say "Migrations, beside the code that runs"
delivery/terraform.sh prepare
"$python" -m delivery.migrate --outputs build/outputs.json
say "Roll out"
failed=
delivery/terraform.sh apply || failed="terraform apply"
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
