#!/usr/bin/env bash
# The steps of Terraform in a delivery. STATE_BUCKET names the bucket of the state, ENVIRONMENT the file in envs/, and
# TF_VAR_project_id the project; other variables TF_VAR_… override settings of envs/ENVIRONMENT.tfvars.
#   terraform.sh plan        write the planned changes to build/plan; lock and change nothing
#   terraform.sh plan-copy   the same from build/plan.tfstate, a copy of the state without secrets; read no resource
#   terraform.sh copy        write that copy
#   terraform.sh before      write what is deployed to build/previous.json and build/rollback.tfvars.json
#   terraform.sh prepare     apply the migrate job, the database's users and their dependencies: new schema, old code
#   terraform.sh subscribers apply the event functions, which read the messages of both releases: before those that send them
#   terraform.sh apply       plan and apply everything
#   terraform.sh outputs     write the outputs to build/outputs.json
#   terraform.sh rollback    serve every function from its archive in build/rollback.tfvars.json
set -euo pipefail
cd "$(dirname -- "${BASH_SOURCE[0]}")/.."
: "${ENVIRONMENT:?set it to dev or prod}" "${TF_VAR_project_id:?set it to the project id}"
export TF_IN_AUTOMATION=1 TF_INPUT=0
mkdir -p build
terraform=("${TERRAFORM:-terraform}" "-chdir=terraform")
variables=("-var-file=envs/$ENVIRONMENT.tfvars")
python=${PYTHON:-python3}

init() {
    : "${STATE_BUCKET:?set it to the bucket of Terraform state}"
    if [[ -n ${TERRAFORM_BACKEND_READY:-} ]]; then return; fi
    "${terraform[@]}" init -no-color -backend-config="bucket=$STATE_BUCKET" >build/init.log || { cat build/init.log; exit 1; }
}

case ${1:-} in
plan)
    init
    "${terraform[@]}" plan -no-color -lock=false "${variables[@]}" -out="$PWD/build/plan"
    ;;
plan-copy)
    # the copy takes the place of the backend; without one, everything is planned as new
    printf 'terraform {\n  backend "local" {\n    path = "%s"\n  }\n}\n' "$PWD/build/plan.tfstate" >terraform/backend_override.tf
    trap 'rm -f terraform/backend_override.tf' EXIT
    "${terraform[@]}" init -no-color >build/init.log || { cat build/init.log; exit 1; }
    "${terraform[@]}" plan -no-color -lock=false -refresh=false "${variables[@]}" -out="$PWD/build/plan"
    ;;
copy)
    init
    "${terraform[@]}" state pull | "$python" -m delivery.plan_state >build/plan.tfstate
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
    # they include the URL of the migrate job
    "${terraform[@]}" output -no-color -json >build/outputs.json
    ;;
subscribers)
    init
    "${terraform[@]}" apply -no-color -auto-approve "${variables[@]}" \
        -target='module.function["update_preferences"]' -target='module.function["update_popularity"]' \
        -target='module.function["refresh_catalog"]'
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
        echo "Nothing was deployed before, so there is no release to go back to." >&2
        exit 1
    fi
    "${terraform[@]}" apply -no-color -auto-approve "${variables[@]}" -var-file="$PWD/build/rollback.tfvars.json"
    ;;
*)
    sed -n '2,13p' "${BASH_SOURCE[0]}" | sed 's/^# \{0,1\}//' >&2
    exit 2
    ;;
esac
