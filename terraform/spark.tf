# With var.similarity_engine, the job similarity trains a shop that outgrows one machine on Google's Managed Service for
# Apache Spark (docs/models.md), in batches with a subnetwork, a bucket and a service account of their own. Batches
# never reach the database. While no batch runs, only the stored image costs anything.
#
# An owner must apply a change of similarity_engine from or to local by hand: the pipeline may not grant the two project
# roles below, since its list of grantable roles is at IAM's limit (terraform/delivery.tf).

locals {
  sparks = var.similarity_engine != "local"
  # the jobs that submit batches and read their results
  spark_callers = local.sparks ? toset(["similarity", "finish_training"]) : toset([])
  # Cloud Build pushes it (cloudbuild.yaml); by hand: docs/runbooks/spark.md
  spark_repository = "${var.region}-docker.pkg.dev/${var.project_id}/aisle-spark/similarity"
  spark_settings = local.sparks ? {
    SIMILARITY_ENGINE = var.similarity_engine
    SPARK_FROM_PAIRS  = tostring(var.spark_from_pairs)
    SPARK_BATCHES = jsonencode({
      location        = var.region
      folder          = "gs://${google_storage_bucket.spark[0].name}"
      image           = "${local.spark_repository}:${coalesce(var.spark_image_tag, "latest")}"
      subnetwork      = google_compute_subnetwork.spark[0].id
      service_account = google_service_account.spark[0].email
      max_executors   = var.spark_max_executors
    })
  } : {}
}

resource "google_artifact_registry_repository" "spark" {
  #checkov:skip=CKV_GCP_84:Google's keys encrypt it; customer-managed keys could be lost
  count = local.sparks ? 1 : 0

  location      = var.region
  repository_id = "aisle-spark"
  format        = "DOCKER"

  cleanup_policies {
    id     = "keep-the-last"
    action = "KEEP"

    most_recent_versions {
      keep_count = 3
    }
  }

  cleanup_policies {
    id     = "delete-the-old"
    action = "DELETE"

    condition {
      older_than = "2592000s" # 30 days
    }
  }

  depends_on = [google_project_service.api]
}

# Events and neighbours of batches: copies that nothing needs once the result is published
resource "google_storage_bucket" "spark" {
  #checkov:skip=CKV_GCP_62:access logs would hold a line per request; the audit log records administration
  #checkov:skip=CKV_GCP_78:it holds copies; the database has the originals
  count = local.sparks ? 1 : 0

  name                        = "${var.project_id}-aisle-spark"
  location                    = var.region
  uniform_bucket_level_access = true
  public_access_prevention    = "enforced"
  force_destroy               = true

  # erased users are gone from it after two days
  soft_delete_policy {
    retention_duration_seconds = 0
  }

  lifecycle_rule {
    action {
      type = "Delete"
    }

    condition {
      age = 2
    }
  }

  depends_on = [google_project_service.api]
}

resource "google_compute_subnetwork" "spark" {
  count = local.sparks ? 1 : 0

  name          = "aisle-spark"
  network       = google_compute_network.this.id
  region        = var.region
  ip_cidr_range = local.spark_range
  # executors have no public address, and reach Cloud Storage through Google's network
  private_ip_google_access = true

  log_config {
    aggregation_interval = "INTERVAL_10_MIN"
    flow_sampling        = 0.1
    metadata             = "INCLUDE_ALL_METADATA"
  }
}

locals {
  # an address for each executor and the driver
  spark_range = "10.20.16.0/20"
}

# The driver and executors of a batch talk to one another, and to nothing else in the network
resource "google_compute_firewall" "spark_in" {
  count = local.sparks ? 1 : 0

  name               = "aisle-spark-in"
  network            = google_compute_network.this.id
  direction          = "INGRESS"
  priority           = 1000
  source_ranges      = [local.spark_range]
  destination_ranges = [local.spark_range]

  allow {
    protocol = "all"
  }
}

# ... and never reach the database or the cache, whatever runs in them
resource "google_compute_firewall" "spark_out" {
  count = local.sparks ? 1 : 0

  name               = "aisle-spark-out"
  network            = google_compute_network.this.id
  direction          = "EGRESS"
  priority           = 900
  target_tags        = ["aisle-spark"] # NETWORK_TAG in shared/clients/spark_batches.py
  destination_ranges = ["${google_compute_global_address.services.address}/${google_compute_global_address.services.prefix_length}"]

  deny {
    protocol = "all"
  }
}

resource "google_service_account" "spark" {
  count = local.sparks ? 1 : 0

  account_id   = "aisle-spark"
  display_name = "Aisle: batches of Spark run as this"

  depends_on = [google_project_service.api]
}

resource "google_project_iam_member" "spark_worker" {
  count = local.sparks ? 1 : 0

  project = var.project_id
  role    = "roles/dataproc.worker"
  member  = google_service_account.spark[0].member

  # the role covers the objects of every bucket
  condition {
    title      = "only-buckets-of-batches"
    expression = "!resource.type.startsWith(\"storage.googleapis.com/\") || resource.name.startsWith(\"projects/_/buckets/${google_storage_bucket.spark[0].name}\") || resource.name.startsWith(\"projects/_/buckets/dataproc-\")"
  }
}

resource "google_artifact_registry_repository_iam_member" "spark" {
  count = local.sparks ? 1 : 0

  repository = google_artifact_registry_repository.spark[0].name
  location   = var.region
  role       = "roles/artifactregistry.reader"
  member     = google_service_account.spark[0].member
}

resource "google_storage_bucket_iam_member" "spark" {
  for_each = local.sparks ? merge(
    { executors = google_service_account.spark[0].member },
    { for name in local.spark_callers : name => module.function[name].member },
  ) : {}

  bucket = google_storage_bucket.spark[0].name
  role   = "roles/storage.objectUser"
  member = each.value
}

# the role of the jobs: submit batches and read their state, and nothing else
resource "google_project_iam_custom_role" "batches" {
  count = local.sparks ? 1 : 0

  role_id     = "aisleBatches"
  title       = "Aisle: submit batches of Spark"
  permissions = ["dataproc.batches.create", "dataproc.batches.get"]

  depends_on = [google_project_service.api]
}

resource "google_project_iam_member" "batches" {
  for_each = local.spark_callers

  project = var.project_id
  role    = google_project_iam_custom_role.batches[0].id
  member  = module.function[each.key].member
}

# to run a batch as an account, the caller must be allowed to act as it
resource "google_service_account_iam_member" "batches" {
  for_each = local.spark_callers

  service_account_id = google_service_account.spark[0].name
  role               = "roles/iam.serviceAccountUser"
  member             = module.function[each.key].member
}
