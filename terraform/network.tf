# The private network. Postgres and Redis have no public address; functions reach them through the connector or a
# network interface of their own. Traffic to the internet does not pass through this network.

resource "google_compute_network" "this" {
  name                    = "aisle"
  auto_create_subnetworks = false

  depends_on = [google_project_service.api]
}

locals {
  # Direct VPC egress takes two addresses for each instance, and holds those of the previous revision while a new one
  # starts: four for each instance that may run
  egress_range     = "10.20.8.0/22"
  egress_addresses = pow(2, 32 - tonumber(split("/", local.egress_range)[1])) - 4
  egress_needed    = 4 * sum([for name, entry in local.entries : entry.max_instances if length(setintersection(entry.needs, ["postgres", "redis"])) > 0])
}

# The network interfaces of functions with Direct VPC egress. Google releases their addresses an hour or two after the
# last function is gone, and does not delete the subnetwork until then (docs/runbooks/remove.md).
resource "google_compute_subnetwork" "functions" {
  name                     = "aisle-egress"
  network                  = google_compute_network.this.id
  region                   = var.region
  ip_cidr_range            = local.egress_range
  private_ip_google_access = true

  log_config {
    aggregation_interval = "INTERVAL_10_MIN"
    flow_sampling        = 0.1
    metadata             = "INCLUDE_ALL_METADATA"
  }

  lifecycle {
    # functions move to the new one before the old one is deleted
    create_before_destroy = true

    precondition {
      condition     = var.vpc_egress != "direct" || local.egress_needed <= local.egress_addresses
      error_message = "Functions may need ${local.egress_needed} addresses, but the subnetwork has ${local.egress_addresses}. Lower max_instances, or widen local.egress_range."
    }
  }
}

resource "google_compute_subnetwork" "connector" {
  count = var.vpc_egress == "connector" ? 1 : 0

  name                     = "aisle-connector"
  network                  = google_compute_network.this.id
  region                   = var.region
  ip_cidr_range            = "10.20.1.0/28" # a connector needs exactly a /28
  private_ip_google_access = true

  log_config {
    aggregation_interval = "INTERVAL_10_MIN"
    flow_sampling        = 0.1
    metadata             = "INCLUDE_ALL_METADATA"
  }
}

locals {
  connector = local.prod ? { machine_type = "e2-micro", max_instances = 10, mbps = 100 } : { machine_type = "f1-micro", max_instances = 3, mbps = 50 }
  # 60% of what its instances carry: a connector never removes an instance, and takes minutes to add one.
  connector_mbps = floor(0.6 * local.connector.max_instances * local.connector.mbps)
}

resource "google_vpc_access_connector" "this" {
  count = var.vpc_egress == "connector" ? 1 : 0

  name          = "aisle"
  region        = var.region
  machine_type  = local.connector.machine_type
  min_instances = 2
  max_instances = local.connector.max_instances

  subnet {
    name = google_compute_subnetwork.connector[0].name
  }

  lifecycle {
    precondition {
      condition     = var.network_mbps <= local.connector_mbps
      error_message = "Functions may exchange ${var.network_mbps} Mbit/s with the private network, but the connector is planned for at most ${local.connector_mbps}. Set vpc_egress = \"direct\"."
    }
  }

  depends_on = [google_project_service.api]
}

# The peered address range of Cloud SQL and Memorystore
resource "google_compute_global_address" "services" {
  name          = "aisle-services"
  network       = google_compute_network.this.id
  purpose       = "VPC_PEERING"
  address_type  = "INTERNAL"
  address       = "10.30.0.0"
  prefix_length = 20
}

resource "google_service_networking_connection" "services" {
  network                 = google_compute_network.this.id
  service                 = "servicenetworking.googleapis.com"
  reserved_peering_ranges = [google_compute_global_address.services.name]
  # Cloud SQL holds its addresses for four days after deletion, which blocks removal of the peering; the peering goes
  # with the network
  deletion_policy = "ABANDON"

  depends_on = [google_project_service.api]
}

# Nothing listens in this network, so no ingress is allowed ...
resource "google_compute_firewall" "nothing_in" {
  name          = "aisle-nothing-in"
  network       = google_compute_network.this.id
  direction     = "INGRESS"
  priority      = 65000
  source_ranges = ["0.0.0.0/0"]

  deny {
    protocol = "all"
  }
}

# ... and functions with an interface here may reach only the database and the cache
resource "google_compute_firewall" "services_out" {
  name               = "aisle-services-out"
  network            = google_compute_network.this.id
  direction          = "EGRESS"
  priority           = 1000
  target_tags        = [local.function_tag]
  destination_ranges = ["${google_compute_global_address.services.address}/${google_compute_global_address.services.prefix_length}"]

  allow {
    protocol = "tcp"
    ports    = ["3307", "5432", "6378", "6379"] # Cloud SQL's connector, Postgres, Redis with TLS, Redis
  }
}

resource "google_compute_firewall" "nothing_else_out" {
  name               = "aisle-nothing-else-out"
  network            = google_compute_network.this.id
  direction          = "EGRESS"
  priority           = 65000
  target_tags        = [local.function_tag]
  destination_ranges = ["10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16"]

  deny {
    protocol = "all"
  }
}
