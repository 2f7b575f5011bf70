"""The profiles of `terraform/envs/requests-….tfvars` deploy what the capacity plans say."""

import pytest

from delivery.capacity import plan_for
from delivery.demand import PROFILES, Demand
from delivery.plan_texts import profile_file
from delivery.service_sizing import RESERVED_CONNECTIONS
from tests.terraform.conftest import Terraform
from tests.terraform.rules import violations


@pytest.mark.parametrize("demand", PROFILES, ids=lambda demand: f"{demand.requests_per_s:g}")
def test_a_profile_deploys_its_plan(terraform: Terraform, demand: Demand) -> None:
    planned = plan_for(demand)
    # Terraform refuses a plan whose connections, addresses or throughput do not fit
    deployed = terraform.plan_pinned(
        f"-var-file=envs/{profile_file(demand).name}",
        "-var=domain=shop.example.com",
        "-var=public_access=load_balancer",
    )
    functions = {name: values["service_config"][0] for name, values in deployed.functions().items()}
    for name, entry in deployed.listed.entries.items():
        assert functions[name]["max_instance_count"] == planned.max_instances.get(name, entry.max_instances), name
    (database,) = deployed.of("google_sql_database_instance").values()
    assert database["settings"][0]["tier"] == planned.sql_tier
    flags = {flag["name"]: flag["value"] for flag in database["settings"][0]["database_flags"]}
    assert int(flags["max_connections"]) == planned.max_connections
    (cache,) = deployed.of("google_redis_instance").values()
    assert cache["memory_size_gb"] == planned.redis_gib
    assert len(deployed.of("google_vpc_access_connector")) == (planned.egress == "connector")
    # the pools of the plan are those that functions get
    held = sum(
        int(functions[name]["environment_variables"]["DATABASE_POOL_SIZE"])
        * functions[name]["max_instance_count"]
        * (1 if entry.kind == "job" else 2)
        for name, entry in deployed.listed.entries.items()
        if "postgres" in entry.needs
    )
    assert held + RESERVED_CONNECTIONS == planned.connections
    assert violations(deployed) == []
