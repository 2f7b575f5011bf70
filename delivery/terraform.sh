#!/usr/bin/env bash
# Terraform as a delivery runs it. The state's bucket and the environment come from STATE_BUCKET and ENVIRONMENT, the
# project from TF_VAR_project_id; settings beyond envs/ENVIRONMENT.tfvars from environment variables TF_VAR_….
#   terraform.sh plan        what would change, into build/plan; nothing is locked or changed
#   terraform.sh before      what is deployed, into build/previous.json and build/rollback.tfvars.json
#   terraform.sh prepare     the migrate job, the database's users and what they rest on: new schema, old code
#   terraform.sh apply       everything, from a plan file made against what prepare left
#   terraform.sh outputs     into build/outputs.json
#   terraform.sh rollback    every function back to the archive of build/rollback.tfvars.json
set -euo pipefail
cd "$(dirname -- "${BASH_SOURCE[0]}")/.."
: "${STATE_BUCKET:?the bucket of the state}" "${ENVIRONMENT:?dev or prod}" "${TF_VAR_project_id:?the project}"
export TF_IN_AUTOMATION=1 TF_INPUT=0
mkdir -p build
terraform=("${TERRAFORM:-terraform}" "-chdir=terraform")
variables=("-var-file=envs/$ENVIRONMENT.tfvars")
python=${PYTHON:-python3}

init() {
    if [[ -n ${TERRAFORM_BACKEND_READY:-} ]]; then return; fi
    "${terraform[@]}" init -no-color -backend-config="bucket=$STATE_BUCKET" >build/init.log || { cat build/init.log; exit 1; }
}

case ${1:-} in
plan)
    init
    "${terraform[@]}" plan -no-color -lock=false "${variables[@]}" -out="$PWD/build/plan"
    ;;
before)
    init
    "${terraform[@]}" output -no-color -json >build/previous.json
    "$python" -m delivery.pins build/previous.json >build/rollback.tfvars.json
    ;;
prepare)
    init
    "${terraform[@]}" apply -no-color -auto-approve "${variables[@]}" \
        -target='module.function["migrate"]' -target=google_sql_user.function -target=google_sql_user.operator \
        -target=google_sql_database.this -target=google_project_iam_member.sql_client \
        -target=google_project_iam_member.sql_login
    # its URL, which the targeted apply has made
    "${terraform[@]}" output -no-color -json >build/outputs.json
    ;;
apply)
    init
    "${terraform[@]}" plan -no-color "${variables[@]}" -out="$PWD/build/plan" >build/plan.txt
    tail -n 3 build/plan.txt
    "${terraform[@]}" apply -no-color "$PWD/build/plan"
    ;;
outputs)
    init
    "${terraform[@]}" output -no-color -json >build/outputs.json
    ;;
rollback)
    init
    if grep -q '"pinned_sources": {}' build/rollback.tfvars.json; then
        echo "nothing was deployed before: there is nothing to go back to" >&2
        exit 1
    fi
    "${terraform[@]}" apply -no-color -auto-approve "${variables[@]}" -var-file="$PWD/build/rollback.tfvars.json"
    ;;
*)
    sed -n '2,10p' "${BASH_SOURCE[0]}" | sed 's/^# \{0,1\}//' >&2
    exit 2
    ;;
esac
