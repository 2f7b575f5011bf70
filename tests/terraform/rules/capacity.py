"""Limits that a full deployment must stay below, and where functions' traffic goes."""

import ipaddress
from collections.abc import Iterator
from itertools import combinations
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tests.terraform.conftest import Plan

# connections that operators, backups and Cloud SQL itself need
RESERVED = 15
# Direct VPC egress takes two addresses for an instance, and those of the previous revision stay while a new one starts
ADDRESSES = 4
# of a subnetwork, which Google keeps
UNUSABLE = 4
DIRECT_AT_LEAST = 26
# of the proxy to which Cloud SQL's connector speaks, and of Memorystore with TLS
PORTS = {"3307", "6378"}


def connections_suffice_while_a_release_rolls_out(plan: "Plan") -> Iterator[str]:
    """Instances of two revisions run at once; a job's run starts after the previous one."""
    flags = {
        flag["name"]: flag["value"]
        for flag in plan.by_key("google_sql_database_instance", "this")[""]["settings"][0]["database_flags"]
    }
    opened = RESERVED
    for name, function in plan.functions().items():
        service = function["service_config"][0]
        if size := (service["environment_variables"] or {}).get("DATABASE_POOL_SIZE"):
            revisions = 1 if plan.listed.entries[name].kind == "job" else 2
            opened += revisions * service["max_instance_count"] * int(size)
    if opened > int(flags["max_connections"]):
        yield f"functions and reserves need {opened} connections, and max_connections is {flags['max_connections']}"


def direct_egress_has_addresses_for_every_instance(plan: "Plan") -> Iterator[str]:
    """A function without a free address does not start."""
    instances = sum(
        function["service_config"][0]["max_instance_count"]
        for function in plan.functions().values()
        if function["service_config"][0].get("direct_vpc_network_interface")
    )
    network = ipaddress.ip_network(plan.by_key("google_compute_subnetwork", "functions")[""]["ip_cidr_range"])
    if instances and (network.num_addresses - UNUSABLE < ADDRESSES * instances or network.prefixlen > DIRECT_AT_LEAST):
        yield f"{instances} instances may need {ADDRESSES * instances} addresses; {network} has fewer"


def ranges_do_not_overlap(plan: "Plan") -> Iterator[str]:
    """Google refuses a subnetwork within another one, or within the range of the peering."""
    ranges = {address: one["ip_cidr_range"] for address, one in plan.of("google_compute_subnetwork").items()}
    for address, one in plan.of("google_compute_global_address").items():
        if one.get("purpose") == "VPC_PEERING":
            ranges[address] = f"{one['address']}/{one['prefix_length']}"
    for (first, one), (second, other) in combinations(sorted(ranges.items()), 2):
        if ipaddress.ip_network(one).overlaps(ipaddress.ip_network(other)):
            yield f"{first} ({one}) overlaps {second} ({other})"


def only_private_traffic_passes_through_the_network(plan: "Plan") -> Iterator[str]:
    """The network has no way to the internet: with all traffic in it, mail, feeds and Google's APIs are unreachable."""
    for name, function in plan.functions().items():
        service = function["service_config"][0]
        if service.get("vpc_connector_egress_settings") not in (None, "PRIVATE_RANGES_ONLY"):
            yield f"{name} sends {service['vpc_connector_egress_settings']} through the connector"
        if service.get("direct_vpc_egress") not in (None, "VPC_EGRESS_PRIVATE_RANGES_ONLY"):
            yield f"{name} sends {service['direct_vpc_egress']} through the network"


def functions_in_the_network_reach_the_database_and_the_cache(plan: "Plan") -> Iterator[str]:
    """The firewall drops every other private packet."""
    for firewall in plan.by_key("google_compute_firewall", "services_out").values():
        if missing := sorted(PORTS - set(firewall["allow"][0]["ports"])):
            yield f"the firewall drops what functions send to the ports {', '.join(missing)}"


def what_blocks_its_own_deletion_is_left_alone(plan: "Plan") -> Iterator[str]:
    """Google refuses to delete these while others use them; they go with their parent."""
    abandoned = (
        *plan.of("google_service_networking_connection").items(),
        *plan.of("google_sql_database").items(),
        *plan.of("google_sql_user").items(),
    )
    for address, one in abandoned:
        if one.get("deletion_policy") != "ABANDON":
            yield f"{address} is deleted before its parent"


RULES = (
    connections_suffice_while_a_release_rolls_out,
    direct_egress_has_addresses_for_every_instance,
    ranges_do_not_overlap,
    only_private_traffic_passes_through_the_network,
    functions_in_the_network_reach_the_database_and_the_cache,
    what_blocks_its_own_deletion_is_left_alone,
)
