# One function of functions.yaml: its account, its service, who may call it, and its secrets.

terraform {
  required_providers {
    google = {
      source = "hashicorp/google"
    }
  }
}

locals {
  # names of Cloud Functions have no underscore
  name = replace(var.name, "_", "-")
}

resource "google_service_account" "this" {
  account_id   = var.account
  display_name = "Aisle: ${var.name}"
}

resource "google_secret_manager_secret_iam_member" "this" {
  for_each = var.secrets

  secret_id = each.value
  role      = "roles/secretmanager.secretAccessor"
  member    = google_service_account.this.member
}

resource "google_cloudfunctions2_function" "this" {
  name        = local.name
  location    = var.region
  description = "Aisle: ${var.entry.kind} ${var.name}"

  build_config {
    runtime           = "python313"
    entry_point       = var.name
    docker_repository = var.repository
    service_account   = var.builder

    source {
      storage_source {
        bucket = var.source_place.bucket
        object = var.source_place.object
      }
    }
  }

  service_config {
    available_memory                 = "${var.entry.memory}Mi"
    available_cpu                    = tostring(var.entry.cpu)
    max_instance_request_concurrency = var.entry.concurrency
    min_instance_count               = var.entry.min_instances
    max_instance_count               = var.entry.max_instances
    timeout_seconds                  = var.entry.timeout_s
    service_account_email            = google_service_account.this.email
    ingress_settings                 = var.ingress
    all_traffic_on_latest_revision   = true

    environment_variables = merge(
      var.environment,
      # the name of this account in Cloud SQL
      contains(var.entry.needs, "postgres") ? { DATABASE_USER = "${var.account}@${var.project_id}.iam" } : {},
    )

    dynamic "secret_environment_variables" {
      for_each = var.secrets

      content {
        key        = secret_environment_variables.key
        project_id = var.project_id
        secret     = element(split("/", secret_environment_variables.value), -1)
        version    = "latest"
      }
    }

    vpc_connector                 = try(var.network.connector, null)
    vpc_connector_egress_settings = try(var.network.connector, null) == null ? null : "PRIVATE_RANGES_ONLY"
    direct_vpc_egress             = var.network != null && try(var.network.connector, null) == null ? "VPC_EGRESS_PRIVATE_RANGES_ONLY" : null

    dynamic "direct_vpc_network_interface" {
      for_each = var.network != null && try(var.network.connector, null) == null ? [var.network] : []

      content {
        network    = direct_vpc_network_interface.value.network
        subnetwork = direct_vpc_network_interface.value.subnetwork
        tags       = [direct_vpc_network_interface.value.tag]
      }
    }
  }

  depends_on = [google_secret_manager_secret_iam_member.this]
}

# a second-generation function is a Cloud Run service of the same name
resource "google_cloud_run_v2_service_iam_member" "invoker" {
  for_each = var.invokers

  name     = google_cloudfunctions2_function.this.name
  location = var.region
  role     = "roles/run.invoker"
  member   = each.value
}
