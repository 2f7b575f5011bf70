# With var.repository, Cloud Build deploys pushes and plans pull requests. The deployment account may change only the
# resources in this folder; the plan account may read a copy of their state.

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
  # The roles that the deployment account may grant on the project: those of functions, operators and the builder. It
  # can therefore neither become an owner nor change its own roles, which an owner applies by hand
  # (docs/runbooks/first-deployment.md).
  granted_roles = concat([
    "roles/cloudsql.client", "roles/cloudsql.instanceUser", "roles/cloudsql.studioUser", "roles/logging.logWriter", "roles/monitoring.viewer",
    "roles/secretmanager.secretAccessor", "roles/storage.objectViewer", "projects/${var.project_id}/roles/aisleSchedules",
  ], local.sends_to_google ? local.telemetry_roles : [])
  # IAM accepts at most this many values in a hasOnly([...])
  most_granted_roles = 10
  # Plans of pull requests run code that nobody has reviewed. They read the project's number and a copy of the state
  # without secrets, and refresh nothing.
  reader_roles = ["roles/browser", "roles/logging.logWriter", "roles/serviceusage.serviceUsageConsumer"]
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
    expression = "api.getAttribute('iam.googleapis.com/modifiedGrantsByRole', []).hasOnly([${join(", ", [for role in local.granted_roles : "'${role}'"])}])"
  }

  lifecycle {
    precondition {
      condition     = length(local.granted_roles) <= local.most_granted_roles
      error_message = "The pipeline may grant ${length(local.granted_roles)} roles, but an IAM condition accepts at most ${local.most_granted_roles}. Grant a role on a single resource instead of on the project."
    }
  }
}

# The deployment account acts as the accounts that builds, pushes, schedules and triggers run as. Each function's module
# lets it act as that function's account before the function is deployed.
resource "google_service_account_iam_member" "delivery" {
  for_each = local.delivers ? {
    aisle-builder   = google_service_account.builder.name
    aisle-push      = google_service_account.push.name
    aisle-scheduler = google_service_account.scheduler.name
    aisle-delivery  = google_service_account.delivery[0].name
    aisle-plans     = google_service_account.reader[0].name
  } : {}

  service_account_id = each.value
  role               = "roles/iam.serviceAccountUser"
  member             = google_service_account.delivery[0].member
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

# The state without its secrets, which each delivery writes for the plans of pull requests. The state itself contains
# Redis' password (docs/decisions/0018-secrets.md), so pull request builds cannot read it.
resource "google_storage_bucket" "plans" {
  #checkov:skip=CKV_GCP_62:access logs would hold a line per request; the audit log records administration
  #checkov:skip=CKV_GCP_78:each delivery rewrites its file
  count = local.delivers ? 1 : 0

  name                        = "${var.project_id}-aisle-plans"
  location                    = var.region
  uniform_bucket_level_access = true
  public_access_prevention    = "enforced"
  force_destroy               = true

  depends_on = [google_project_service.api]
}

resource "google_storage_bucket_iam_member" "plans" {
  count = local.delivers ? 1 : 0

  bucket = google_storage_bucket.plans[0].name
  role   = "roles/storage.objectViewer"
  member = google_service_account.reader[0].member
}

# pip's cache between builds
resource "google_storage_bucket" "cache" {
  #checkov:skip=CKV_GCP_62:access logs would hold a line per request; the audit log records administration
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
    _PLANS_BUCKET = google_storage_bucket.plans[0].name
    _SPARK_IMAGE  = local.sparks ? local.spark_repository : ""
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
    _REGION       = var.region
    _PLANS_BUCKET = google_storage_bucket.plans[0].name
  }
}
