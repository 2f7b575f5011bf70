# prod: two zones, protected, kept warm, with the load balancer.
mock_provider "google" {}
mock_provider "archive" {}

variables {
  project_id = "shop-test-123"
  # archives are what tests/terraform looks into; without them a run takes a second
  pinned_sources = { for name in keys(yamldecode(file("../functions.yaml")).entries) : name => "${name}/earlier.zip" }
}

run "prod_survives_a_zone_and_a_mistake" {
  command = plan

  variables {
    environment    = "prod"
    bigquery       = true
    warm_instances = 1
    domain         = "shop.example.com"
  }

  assert {
    condition     = google_sql_database_instance.this.settings[0].availability_type == "REGIONAL" && google_sql_database_instance.this.settings[0].backup_configuration[0].point_in_time_recovery_enabled
    error_message = "the database does not survive a zone"
  }

  assert {
    condition     = google_sql_database_instance.this.deletion_protection && google_sql_database_instance.this.settings[0].deletion_protection_enabled && google_redis_instance.this[0].deletion_protection
    error_message = "prod can be destroyed by mistake"
  }

  assert {
    condition     = google_redis_instance.this[0].tier == "STANDARD_HA"
    error_message = "Redis does not survive a zone"
  }

  assert {
    condition     = alltrue([for table in google_bigquery_table.messages : table.deletion_protection]) && length(google_pubsub_subscription.bigquery) == length(local.topics)
    error_message = "raw events are not kept"
  }

  assert {
    condition     = alltrue([for name, entry in local.entries : entry.min_instances >= 1 if entry.public])
    error_message = "a public function goes cold"
  }

  assert {
    condition = toset(flatten([for rule in google_compute_url_map.this["this"].path_matcher[0].path_rule : rule.paths])) == toset(flatten([
      for entry in values(yamldecode(file("../functions.yaml")).entries) : [
        # a "/" is the page alone: what lies below it belongs to other functions
        for path in entry.paths : path == "/" ? ["/"] : [path, "${path}/*", "/api/v1${path}", "/api/v1${path}/*"]
      ] if try(entry.public, false)
    ]))
    error_message = "the load balancer's paths are not those of functions.yaml"
  }
}
