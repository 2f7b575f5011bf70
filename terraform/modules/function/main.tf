# One function of functions.yaml: its account, its service, who may call it, and its secrets.

terraform {
  required_providers {
    google = {
      source = "hashicorp/google"
    }
    time = {
      source = "hashicorp/time"
    }
  }
}

locals {
  # names of Cloud Functions cannot contain underscores
  name = replace(var.name, "_", "-")
  # how it reaches private addresses, if at all
  direct    = try(var.network.direct, false)
  connected = var.network != null && !local.direct
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

# whoever deploys a function must be allowed to act as the account that it runs as
resource "google_service_account_iam_member" "deployer" {
  for_each = var.deployers

  service_account_id = google_service_account.this.name
  role               = "roles/iam.serviceAccountUser"
  member             = each.value
}

# A grant takes a while to take effect. Cloud Run rejects a revision whose account cannot read a secret yet, and a
# deployer who cannot act as the account yet.
resource "time_sleep" "grants" {
  create_duration = "60s"

  # a new grant needs a new wait
  triggers = {
    account   = google_service_account.this.email
    secrets   = join(" ", sort(keys(var.secrets)))
    deployers = join(" ", sort(keys(var.deployers)))
  }

  depends_on = [google_secret_manager_secret_iam_member.this, google_service_account_iam_member.deployer]
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

    vpc_connector                 = local.connected ? var.network.connector : null
    vpc_connector_egress_settings = local.connected ? "PRIVATE_RANGES_ONLY" : null
    direct_vpc_egress             = local.direct ? "VPC_EGRESS_PRIVATE_RANGES_ONLY" : null

    dynamic "direct_vpc_network_interface" {
      for_each = local.direct ? [var.network] : []

      content {
        network    = direct_vpc_network_interface.value.network
        subnetwork = direct_vpc_network_interface.value.subnetwork
        tags       = [direct_vpc_network_interface.value.tag]
      }
    }
  }

  depends_on = [time_sleep.grants]
}

# a second-generation function is a Cloud Run service of the same name
resource "google_cloud_run_v2_service_iam_member" "invoker" {
  for_each = var.invokers

  name     = google_cloudfunctions2_function.this.name
  location = var.region
  role     = "roles/run.invoker"
  member   = each.value
}
