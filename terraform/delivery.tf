# With var.repository, Cloud Build deploys pushes and plans pull requests. The account of deployments may change only the
# resources in this folder; the account of plans may only read them.

locals {
  delivers = var.repository != null
  delivery_roles = [
    "roles/artifactregistry.admin", "roles/cloudbuild.builds.editor", "roles/cloudfunctions.admin", "roles/cloudscheduler.admin",
    "roles/cloudsql.admin", "roles/compute.loadBalancerAdmin", "roles/compute.networkAdmin", "roles/compute.securityAdmin",
    "roles/iam.roleAdmin", "roles/iam.serviceAccountAdmin", "roles/logging.configWriter", "roles/logging.logWriter",
    "roles/monitoring.admin", "roles/pubsub.admin", "roles/redis.admin", "roles/run.admin", "roles/secretmanager.admin",
    "roles/servicenetworking.networksAdmin", "roles/serviceusage.serviceUsageAdmin", "roles/storage.admin", "roles/vpcaccess.admin",
    "roles/bigquery.admin",
  ]
  # the roles that it may grant, so that it cannot become an owner
  granted_roles = [
    "roles/cloudsql.client", "roles/cloudsql.instanceUser", "roles/cloudsql.studioUser", "roles/logging.logWriter",
    "roles/storage.objectViewer", "projects/${var.project_id}/roles/aisleSchedules",
  ]
  reader_roles = [
    "roles/browser", "roles/artifactregistry.reader", "roles/cloudbuild.builds.viewer", "roles/cloudfunctions.viewer",
    "roles/cloudscheduler.viewer", "roles/cloudsql.viewer", "roles/compute.viewer", "roles/iam.securityReviewer",
    "roles/logging.logWriter", "roles/logging.viewer", "roles/monitoring.viewer", "roles/pubsub.viewer", "roles/redis.viewer",
    "roles/run.viewer", "roles/secretmanager.viewer", "roles/serviceusage.serviceUsageViewer", "roles/vpcaccess.viewer",
    "roles/bigquery.metadataViewer",
  ]
}

resource "google_service_account" "delivery" {
  count = local.delivers ? 1 : 0

  account_id   = "aisle-delivery"
  display_name = "Aisle: Cloud Build deploys as this"

  depends_on = [google_project_service.api]
}

resource "google_project_iam_member" "delivery" {
  #checkov:skip=CKV_GCP_49:it creates the accounts of functions; delivery_grants limits the roles it may grant
  for_each = toset(local.delivers ? local.delivery_roles : [])

  project = var.project_id
  role    = each.key
  member  = google_service_account.delivery[0].member
}

resource "google_project_iam_member" "delivery_grants" {
  count = local.delivers ? 1 : 0

  project = var.project_id
  role    = "roles/resourcemanager.projectIamAdmin"
  member  = google_service_account.delivery[0].member

  condition {
    title      = "only-aisles-roles"
    expression = "api.getAttribute('iam.googleapis.com/modifiedGrantsByRole', []).hasOnly([${join(", ", [for role in concat(local.granted_roles, local.delivery_roles) : "'${role}'"])}])"
  }
}

# it deploys functions that run as their own accounts, and as no others
resource "google_service_account_iam_member" "delivery" {
  for_each = local.delivers ? merge(
    { for name in keys(local.entries) : name => "projects/${var.project_id}/serviceAccounts/${local.accounts[name]}@${var.project_id}.iam.gserviceaccount.com" },
    { "aisle-builder" = google_service_account.builder.name, "aisle-push" = google_service_account.push.name, "aisle-scheduler" = google_service_account.scheduler.name },
  ) : {}

  service_account_id = each.value
  role               = "roles/iam.serviceAccountUser"
  member             = google_service_account.delivery[0].member

  depends_on = [module.function]
}

# ... and calls the migrate job with a token that it signs for itself
resource "google_service_account_iam_member" "delivery_identity" {
  count = local.delivers ? 1 : 0

  service_account_id = google_service_account.delivery[0].name
  role               = "roles/iam.serviceAccountOpenIdTokenCreator"
  member             = google_service_account.delivery[0].member
}

resource "google_service_account" "reader" {
  count = local.delivers ? 1 : 0

  account_id   = "aisle-plans"
  display_name = "Aisle: Cloud Build plans pull requests as this"

  depends_on = [google_project_service.api]
}

resource "google_project_iam_member" "reader" {
  for_each = toset(local.delivers ? local.reader_roles : [])

  project = var.project_id
  role    = each.key
  member  = google_service_account.reader[0].member
}

# the state; a plan of a pull request takes no lock, so read access is enough
resource "google_storage_bucket_iam_member" "state" {
  count = local.delivers ? 1 : 0

  bucket = var.state_bucket
  role   = "roles/storage.objectViewer"
  member = google_service_account.reader[0].member
}

# Pip's cache between builds
resource "google_storage_bucket" "cache" {
  #checkov:skip=CKV_GCP_62:access logs would hold a line per request; the audit log has administration
  #checkov:skip=CKV_GCP_78:its files can be downloaded again
  count = local.delivers ? 1 : 0

  name                        = "${var.project_id}-aisle-build-cache"
  location                    = var.region
  uniform_bucket_level_access = true
  public_access_prevention    = "enforced"
  force_destroy               = true

  lifecycle_rule {
    action {
      type = "Delete"
    }

    condition {
      age = 30
    }
  }

  depends_on = [google_project_service.api]
}

resource "google_cloudbuild_trigger" "push" {
  count = local.delivers ? 1 : 0

  name            = "aisle-deploy"
  location        = var.region
  filename        = "cloudbuild.yaml"
  service_account = google_service_account.delivery[0].id

  github {
    owner = var.repository.owner
    name  = var.repository.name

    push {
      branch = "^${var.repository.branch}$"
    }
  }

  substitutions = {
    _ENVIRONMENT  = var.environment
    _REGION       = var.region
    _STATE_BUCKET = var.state_bucket
    _CACHE_BUCKET = google_storage_bucket.cache[0].name
  }
}

resource "google_cloudbuild_trigger" "pull_request" {
  count = local.delivers ? 1 : 0

  name               = "aisle-plan"
  location           = var.region
  filename           = "cloudbuild.pull-request.yaml"
  service_account    = google_service_account.reader[0].id
  include_build_logs = "INCLUDE_BUILD_LOGS_WITH_STATUS"

  github {
    owner = var.repository.owner
    name  = var.repository.name

    pull_request {
      branch = "^${var.repository.branch}$"
      # the code of a stranger's pull request would run here
      comment_control = "COMMENTS_ENABLED_FOR_EXTERNAL_CONTRIBUTORS_ONLY"
    }
  }

  substitutions = {
    _ENVIRONMENT  = var.environment
    _STATE_BUCKET = var.state_bucket
  }
}
