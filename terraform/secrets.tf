# Every secret that functions.yaml names is generated here as an ephemeral value: neither the plan nor the state
# contains it.

locals {
  secrets = toset(flatten([for entry in values(local.entries) : entry.secrets]))
  # a set of keys is written name:secret (see the setting TOKEN_KEYS)
  key_names = { for name in local.secrets : name => endswith(name, "_KEYS") ? "k${var.secrets_generation}:" : "" }
}

ephemeral "random_password" "secret" {
  for_each = local.secrets

  length  = 48
  special = false
}

resource "google_secret_manager_secret" "this" {
  for_each = local.secrets

  secret_id = "aisle-${lower(replace(each.key, "_", "-"))}"
  # for people who rotate it by hand
  annotations = { form = "${local.key_names[each.key]}SECRET" }

  replication {
    auto {}
  }

  depends_on = [google_project_service.api]
}

resource "google_secret_manager_secret_version" "this" {
  for_each = local.secrets

  secret                 = google_secret_manager_secret.this[each.key].id
  secret_data_wo         = "${local.key_names[each.key]}${ephemeral.random_password.secret[each.key].result}"
  secret_data_wo_version = tostring(var.secrets_generation)
  # the previous value stays, so that tokens issued with it can be verified until they expire
  deletion_policy = "ABANDON"
}

locals {
  # setting => secret; refers to the version, so that no function starts before its secrets have a value
  secret_ids = merge(
    { for name, version in google_secret_manager_secret_version.this : name => version.secret },
    local.redis ? { REDIS_URL = google_secret_manager_secret_version.redis_url[0].secret } : {},
    # created by an operator, since only the mail provider knows it: docs/runbooks/first-deployment.md
    var.mail == null ? {} : { MAIL_PASSWORD = "projects/${var.project_id}/secrets/${var.mail.password_secret}" },
  )
}

# Records who read or changed a secret, and when; Google records changes to the other services anyway
resource "google_project_iam_audit_config" "secrets" {
  project = var.project_id
  service = "secretmanager.googleapis.com"

  audit_log_config {
    log_type = "DATA_READ"
  }

  audit_log_config {
    log_type = "DATA_WRITE"
  }
}

# A mailed link gives access to an account while it is valid, and request logs contain whole URLs.
resource "google_logging_project_exclusion" "links" {
  name        = "aisle-account-links"
  description = "Requests whose URL holds the token of a mailed link"
  filter      = "httpRequest.requestUrl=~\"/auth/[a-z-]+/?[?](.*&)?token=\""

  depends_on = [google_project_service.api]
}
