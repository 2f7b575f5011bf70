# dev: small, replaceable, nothing optional that costs.
mock_provider "google" {}
mock_provider "archive" {}

variables {
  project_id = "shop-test-123"
  # archives are what tests/terraform looks into; without them a run takes a second
  pinned_sources = { for name in keys(yamldecode(file("../functions.yaml")).entries) : name => "${name}/earlier.zip" }
}

run "dev_is_small_and_replaceable" {
  command = plan

  assert {
    condition     = google_sql_database_instance.this.settings[0].availability_type == "ZONAL" && !google_sql_database_instance.this.deletion_protection
    error_message = "dev has one zone and can be destroyed"
  }

  assert {
    condition     = google_redis_instance.this[0].tier == "BASIC" && google_redis_instance.this[0].auth_enabled && google_redis_instance.this[0].transit_encryption_mode == "SERVER_AUTHENTICATION"
    error_message = "Redis is basic in dev, and never without password and TLS"
  }

  assert {
    condition     = !google_sql_database_instance.this.settings[0].ip_configuration[0].ipv4_enabled
    error_message = "the database has a public address"
  }

  assert {
    condition     = alltrue([for one in google_sql_user.function : one.type == "CLOUD_IAM_SERVICE_ACCOUNT"])
    error_message = "a database user with a password"
  }

  assert {
    condition     = length(google_compute_url_map.this) == 0 && length(google_bigquery_table.messages) == 0 && length(google_cloudbuild_trigger.push) == 0 && length(google_billing_budget.this) == 0
    error_message = "something optional is on"
  }

  assert {
    condition     = length(module.function) == length(yamldecode(file("../functions.yaml")).entries)
    error_message = "functions.yaml and the functions differ"
  }

  assert {
    condition     = output.url == "https://edge-${data.google_project.this.number}.europe-west1.run.app"
    error_message = "the function edge is not the one address"
  }
}

run "alerts_reach_somebody_when_asked" {
  command = plan

  variables {
    alert_email     = "oncall@example.com"
    billing_account = "012345-6789AB-CDEF01"
  }

  assert {
    condition     = google_monitoring_notification_channel.email[0].labels.email_address == "oncall@example.com" && length(google_billing_budget.this) == 1
    error_message = "no channel or no budget"
  }
}
