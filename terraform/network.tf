# The private network. Postgres and Redis have no public address; functions reach them through the connector or an
# interface of their own. Traffic to the internet does not pass through here.

resource "google_compute_network" "this" {
  name                    = "aisle"
  auto_create_subnetworks = false

  depends_on = [google_project_service.api]
}

# Direct VPC egress takes an address per instance from here. A /24 is enough to replace 120 running instances
resource "google_compute_subnetwork" "functions" {
  name                     = "aisle-functions"
  network                  = google_compute_network.this.id
  region                   = var.region
  ip_cidr_range            = "10.20.0.0/24"
  private_ip_google_access = true

  log_config {
    aggregation_interval = "INTERVAL_10_MIN"
    flow_sampling        = 0.1
    metadata             = "INCLUDE_ALL_METADATA"
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

resource "google_vpc_access_connector" "this" {
  count = var.vpc_egress == "connector" ? 1 : 0

  name          = "aisle"
  region        = var.region
  machine_type  = "e2-micro"
  min_instances = 2
  max_instances = local.prod ? 10 : 3

  subnet {
    name = google_compute_subnetwork.connector[0].name
  }

  depends_on = [google_project_service.api]
}

# The peered range of Cloud SQL and Memorystore
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
  # Cloud SQL holds its addresses for four days after its deletion, which blocks the peering; it goes with the network
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

# ... and functions with an interface here may reach the database and the cache only
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
