# Service accounts and roles that are not defined beside their resource. docs/service-accounts.md gives the reasons for
# each account.

# The buildpacks' account: reads archives, writes images and logs
resource "google_service_account" "builder" {
  account_id   = "aisle-builder"
  display_name = "Aisle: builds functions"

  depends_on = [google_project_service.api]
}

resource "google_storage_bucket_iam_member" "builder" {
  bucket = google_storage_bucket.sources.name
  role   = "roles/storage.objectViewer"
  member = google_service_account.builder.member
}

resource "google_artifact_registry_repository_iam_member" "builder" {
  repository = google_artifact_registry_repository.functions.name
  location   = var.region
  role       = "roles/artifactregistry.writer"
  member     = google_service_account.builder.member
}

resource "google_project_iam_member" "builder" {
  project = var.project_id
  role    = "roles/logging.logWriter"
  member  = google_service_account.builder.member
}

# the buildpacks stage the source in a bucket that belongs to Cloud Functions
resource "google_project_iam_member" "builder_staging" {
  project = var.project_id
  role    = "roles/storage.objectViewer"
  member  = google_service_account.builder.member

  condition {
    title      = "staged-sources"
    expression = "resource.name.startsWith(\"projects/_/buckets/gcf-v2-sources-${data.google_project.this.number}\")"
  }
}

# The roles of a new account take a while to take effect; a build that starts earlier fails
resource "time_sleep" "builder_roles" {
  create_duration = "60s"

  depends_on = [
    google_storage_bucket_iam_member.builder,
    google_artifact_registry_repository_iam_member.builder,
    google_project_iam_member.builder,
    google_project_iam_member.builder_staging,
  ]
}

# Callers: Pub/Sub for event functions, Cloud Scheduler for jobs
resource "google_service_account" "push" {
  account_id   = "aisle-push"
  display_name = "Aisle: Pub/Sub calls event functions as this"

  depends_on = [google_project_service.api]
}

resource "google_service_account" "scheduler" {
  account_id   = "aisle-scheduler"
  display_name = "Aisle: Cloud Scheduler calls jobs as this"

  depends_on = [google_project_service.api]
}

locals {
  # Anyone may call public functions, unless var.public_access is none; every other function has one caller
  invokers = {
    for name, entry in local.entries : name =>
    contains(["http", "edge"], entry.kind) ? (entry.public && var.public_access != "none" ? { everybody = "allUsers" } : {}) :
    entry.kind == "event" ? { push = google_service_account.push.member } :
    entry.schedule != null ? { scheduler = google_service_account.scheduler.member } :
    merge(
      { for one in var.operators : one => one },
      name == local.migrator && local.delivers ? { delivery = google_service_account.delivery[0].member } : {},
    )
  }

  # In Postgres, jobs and functions read and write rows. Jobs also call the owner's functions that create partitions.
  database_roles = {
    for name, entry in local.entries : name =>
    name == local.migrator ? "cloudsqlsuperuser" : entry.kind == "job" ? "aisle_jobs" : "aisle_app"
  }
  owners  = concat([local.database_users[local.migrator]], [for one in sort(tolist(var.operators)) : trimprefix(one, "user:")])
  jobs    = [for name in sort(keys(local.database_users)) : local.database_users[name] if local.entries[name].kind == "job" && name != local.migrator]
  writers = [for name in sort(keys(local.database_users)) : local.database_users[name] if local.entries[name].kind != "job"]

  # the admin function lists, starts and pauses schedules, and reads dead letters and operational metrics
  schedule_readers = toset([for name, entry in local.entries : name if contains(entry.paths, "/admin")])

  # images: one function accepts them, another serves them. The bucket's name is defined here, since the functions need
  # it, while the bucket's grants need the functions.
  images_bucket = "${var.project_id}-aisle-images"
  image_signers = toset([for name, entry in local.entries : name if contains(entry.paths, "/products")])
  image_roles = merge(
    { for name, entry in local.entries : name => "roles/storage.objectViewer" if contains(entry.paths, "/images") },
    # an edge does both
    { for name in local.image_signers : name => "roles/storage.objectUser" },
  )
}

# Cloud SQL: find the instance, and log in
resource "google_project_iam_member" "sql_client" {
  for_each = local.database_users

  project = var.project_id
  role    = "roles/cloudsql.client"
  member  = module.function[each.key].member
}

resource "google_project_iam_member" "sql_login" {
  for_each = local.database_users

  project = var.project_id
  role    = "roles/cloudsql.instanceUser"
  member  = module.function[each.key].member
}

resource "google_project_iam_member" "operator" {
  for_each = {
    for pair in setproduct(var.operators, ["roles/cloudsql.client", "roles/cloudsql.instanceUser", "roles/cloudsql.studioUser"]) :
    join(" ", pair) => { member = pair[0], role = pair[1] }
  }

  project = var.project_id
  role    = each.value.role
  member  = each.value.member
}

# GET /admin/operations reads what Pub/Sub, Cloud Run and the functions write to Cloud Monitoring
resource "google_project_iam_member" "monitoring_viewer" {
  for_each = local.schedule_readers

  project = var.project_id
  role    = "roles/monitoring.viewer"
  member  = module.function[each.key].member
}

# Secrets of scheduled feeds, which staff create (docs/import.md). No other secret has their prefix.
resource "google_project_iam_member" "feed_secrets" {
  for_each = toset([for name in keys(local.entries) : name if name == "import_feeds"])

  project = var.project_id
  role    = "roles/secretmanager.secretAccessor"
  member  = module.function[each.key].member

  condition {
    title      = "secrets-of-feeds"
    expression = "resource.name.startsWith(\"projects/${data.google_project.this.number}/secrets/aisle-feed-\")"
  }
}

# Images that staff upload (docs/decisions/0074-uploaded-images.md). The function products signs their upload URLs and
# keeps the images; the function that serves the pages serves them too, so nobody reads the bucket directly.
resource "google_storage_bucket" "images" {
  #checkov:skip=CKV_GCP_62:access logs would hold a line per request; the audit log records administration
  name                        = local.images_bucket
  location                    = var.region
  uniform_bucket_level_access = true
  public_access_prevention    = "enforced"
  force_destroy               = !local.prod

  versioning {
    enabled = true
  }

  # only from the console
  cors {
    origin          = [local.public_url]
    method          = ["PUT"]
    response_header = ["Content-Type", "x-goog-content-length-range", "x-goog-if-generation-match"]
    max_age_seconds = 600
  }

  lifecycle_rule {
    action {
      type = "Delete"
    }

    condition {
      age            = 1
      matches_prefix = ["uploads/"]
    }
  }

  depends_on = [google_project_service.api]
}

resource "google_storage_bucket_iam_member" "images" {
  for_each = local.image_roles

  bucket = google_storage_bucket.images.name
  role   = each.value
  member = module.function[each.key].member
}

# signing a URL: an account without keys signs through IAM, as itself
resource "google_service_account_iam_member" "image_signer" {
  for_each = local.image_signers

  service_account_id = module.function[each.key].account_id
  role               = "roles/iam.serviceAccountTokenCreator"
  member             = module.function[each.key].member
}

# The bucket for catalog feeds and event histories, which on-demand jobs and scheduled feeds read
resource "google_storage_bucket" "feeds" {
  #checkov:skip=CKV_GCP_62:access logs would hold a line per request; the audit log records administration
  #checkov:skip=CKV_GCP_78:it holds copies; the shop has the originals
  name                        = "${var.project_id}-aisle-feeds"
  location                    = var.region
  uniform_bucket_level_access = true
  public_access_prevention    = "enforced"
  force_destroy               = !local.prod

  lifecycle_rule {
    action {
      type = "Delete"
    }

    condition {
      age = 90
    }
  }

  depends_on = [google_project_service.api]
}

resource "google_storage_bucket_iam_member" "feeds" {
  for_each = { for name, entry in local.entries : name => entry if entry.kind == "job" && entry.heavy && (entry.schedule == null || name == "import_feeds") }

  bucket = google_storage_bucket.feeds.name
  role   = "roles/storage.objectViewer"
  member = module.function[each.key].member
}
