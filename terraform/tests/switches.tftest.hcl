# Each switch does what it says, and what cannot be is refused.
mock_provider "google" {}
mock_provider "archive" {}

variables {
  project_id = "shop-test-123"
  # archives are what tests/terraform looks into; without them a run takes a second
  pinned_sources = { for name in keys(yamldecode(file("../functions.yaml")).entries) : name => "${name}/earlier.zip" }
}

run "direct_egress_needs_no_connector" {
  command = plan

  variables {
    vpc_egress = "direct"
  }

  assert {
    condition     = length(google_vpc_access_connector.this) == 0 && length(google_compute_subnetwork.connector) == 0 && !contains(local.apis, "vpcaccess")
    error_message = "there is still a connector"
  }
}

run "without_redis_nothing_speaks_of_it" {
  command = plan

  variables {
    redis = { tier = "NONE" }
  }

  assert {
    condition     = length(google_redis_instance.this) == 0 && length(google_secret_manager_secret.redis_url) == 0 && !contains(local.apis, "redis") && length(setintersection(keys(local.alerts), ["redis-memory", "redis-cpu"])) == 0 && !anytrue([for chart in local.charts : strcontains(chart.filter, "redis")])
    error_message = "something of Redis is left"
  }
}

run "mail_is_sent_by_those_who_issue_links" {
  command = plan

  variables {
    mail = { url = "smtps://shop@mail.example:465", from = "Shop <shop@example.com>", password_secret = "mail-password" }
  }

  assert {
    condition     = local.secret_ids["MAIL_PASSWORD"] == "projects/shop-test-123/secrets/mail-password" && !contains(local.secrets, "MAIL_PASSWORD")
    error_message = "the password is not the operator's secret"
  }
}

run "a_password_is_no_name_of_a_secret" {
  command = plan

  variables {
    mail = { url = "smtps://shop@mail.example:465", from = "shop@example.com", password_secret = "hunter2!" }
  }

  expect_failures = [var.mail]
}

run "mail_needs_a_server" {
  command = plan

  variables {
    mail = { url = "file:///tmp", from = "shop@example.com", password_secret = "mail-password" }
  }

  expect_failures = [var.mail]
}

run "links_lead_to_the_domain_once_it_is_the_only_address" {
  command = plan

  variables {
    domain        = "shop.example.com"
    public_access = "load_balancer"
  }

  assert {
    condition     = local.public_url == "https://shop.example.com"
    error_message = "links do not lead to the domain"
  }

  assert {
    condition     = !contains(keys(module.function), "edge") && length(google_compute_backend_service.function) == length(local.public_functions)
    error_message = "the edge is deployed beside the load balancer"
  }
}

run "without_a_domain_the_edge_has_what_public_functions_have_together" {
  command = plan

  variables {
    entry          = "functions"
    warm_instances = 1
  }

  assert {
    condition = alltrue([
      for entry in [for one in values(yamldecode(file("../functions.yaml")).entries) : one if try(one.public, false)] :
      length(setsubtract(entry.secrets, local.entries["edge"].secrets)) + length(setsubtract(entry.needs, local.entries["edge"].needs)) + length(setsubtract(try(entry.publishes, []), local.entries["edge"].publishes)) == 0
    ])
    error_message = "the edge lacks what a public function has"
  }

  assert {
    condition     = contains(local.mailers, "edge") && contains(local.schedule_readers, "edge") && local.invokers["edge"]["everybody"] == "allUsers"
    error_message = "the edge cannot do what the admin function does, or is closed"
  }

  assert {
    condition     = local.entries["edge"].min_instances == 1 && local.entries["products"].min_instances == 0
    error_message = "the edge is cold, or functions behind it are warm"
  }

  assert {
    condition     = !contains(keys(google_compute_backend_service.function), "edge")
    error_message = "the load balancer serves the edge"
  }
}

run "the_address_changes_when_the_domain_takes_over" {
  command         = plan
  expect_failures = [var.entry]

  variables {
    entry  = "load_balancer"
    domain = "shop.example.com"
  }
}

run "a_load_balancer_as_entry_needs_a_domain" {
  command         = plan
  expect_failures = [var.entry]

  variables {
    entry = "load_balancer"
  }
}

run "the_edge_cannot_be_the_address_of_closed_functions" {
  command         = plan
  expect_failures = [var.entry]

  variables {
    entry         = "functions"
    domain        = "shop.example.com"
    public_access = "load_balancer"
  }
}

run "an_entry_is_one_of_two" {
  command         = plan
  expect_failures = [var.entry]

  variables {
    entry = "edge"
  }
}

run "a_live_shop_keeps_its_addresses_until_the_certificate_is_active" {
  command = plan

  variables {
    domain = "shop.example.com"
  }

  assert {
    condition     = !local.behind_balancer && startswith(local.public_url, "https://edge-") && contains(keys(module.function), "edge") && length(google_compute_url_map.this) == 1
    error_message = "the domain takes over before its certificate is active"
  }
}

run "a_load_balancer_needs_a_domain" {
  command         = plan
  expect_failures = [var.public_access]

  variables {
    public_access = "load_balancer"
  }
}

run "public_access_is_one_of_three" {
  command         = plan
  expect_failures = [var.public_access]

  variables {
    public_access = "everybody"
  }
}

run "nobody_calls_a_closed_shop" {
  command = plan

  variables {
    public_access = "none"
  }

  assert {
    condition     = alltrue([for members in values(local.invokers) : !contains(keys(members), "everybody")]) && length(google_monitoring_uptime_check_config.function) == 0
    error_message = "something is open"
  }
}

run "monitoring_can_be_off" {
  command = plan

  variables {
    monitoring = false
  }

  assert {
    condition     = length(google_monitoring_alert_policy.this) + length(google_monitoring_slo.availability) + length(google_monitoring_uptime_check_config.function) + length(google_monitoring_dashboard.this) == 0
    error_message = "something is still watched"
  }
}

run "the_smallest_profile_has_nothing_optional" {
  command = plan

  variables {
    vpc_egress = "direct"
    redis      = { tier = "NONE" }
    monitoring = false
  }

  assert {
    condition     = length(google_redis_instance.this) + length(google_vpc_access_connector.this) + length(google_compute_url_map.this) + length(google_bigquery_dataset.events) + length(google_monitoring_dashboard.this) == 0
    error_message = "something optional is on"
  }
}

run "a_balancer_without_cdn_and_armor" {
  command = plan

  variables {
    domain = "shop.example.com"
    cdn    = false
    armor  = false
  }

  assert {
    condition     = length(google_compute_security_policy.this) == 0 && alltrue([for one in google_compute_backend_service.function : !one.enable_cdn && length(one.custom_request_headers) == 0])
    error_message = "CDN, Cloud Armor or the place is on"
  }
}

run "a_balancer_that_tells_the_place" {
  command = plan

  variables {
    domain = "shop.example.com"
    geo    = true
  }

  assert {
    condition     = alltrue([for one in google_compute_backend_service.function : one.custom_request_headers == toset(["X-Client-Place:{client_city_lat_long}"])])
    error_message = "a function does not learn the place"
  }
}

run "a_balancer_with_cdn_and_armor" {
  command = plan

  variables {
    domain = "shop.example.com"
  }

  assert {
    condition     = google_compute_backend_service.function["products"].enable_cdn && !google_compute_backend_service.function["admin"].enable_cdn
    error_message = "the CDN is for public reads alone"
  }

  assert {
    condition     = google_compute_security_policy.this["this"].rule != null && google_compute_backend_service.function["web"].enable_cdn
    error_message = "no rules, or the pictures are not cached"
  }
}

run "similarity_trains_here_unless_spark_is_chosen" {
  command = plan

  assert {
    condition     = length(google_compute_subnetwork.spark) + length(google_storage_bucket.spark) + length(google_service_account.spark) + length(google_artifact_registry_repository.spark) == 0 && !contains(local.apis, "dataproc")
    error_message = "something of Spark exists without it"
  }

  assert {
    condition     = length(local.spark_settings) == 0
    error_message = "a job may submit batches"
  }
}

run "batches_have_a_network_a_bucket_and_an_account_of_their_own" {
  command = plan

  variables {
    similarity_engine = "auto"
    spark_from_pairs  = 5
  }

  assert {
    condition     = google_compute_subnetwork.spark[0].private_ip_google_access && google_compute_firewall.spark_in[0].source_ranges == toset([google_compute_subnetwork.spark[0].ip_cidr_range]) && google_compute_firewall.spark_in[0].destination_ranges == toset([google_compute_subnetwork.spark[0].ip_cidr_range])
    error_message = "executors cannot reach one another, or reach more than that"
  }

  assert {
    condition     = google_compute_firewall.spark_out[0].direction == "EGRESS" && length(google_compute_firewall.spark_out[0].deny) == 1 && google_compute_firewall.spark_out[0].target_tags == toset(["aisle-spark"])
    error_message = "executors may reach the database"
  }

  assert {
    condition     = google_storage_bucket.spark[0].lifecycle_rule != null && google_storage_bucket.spark[0].public_access_prevention == "enforced" && contains(local.apis, "dataproc")
    error_message = "events stay in the bucket, or are public"
  }

  assert {
    condition     = toset(keys(google_project_iam_member.batches)) == toset(["similarity", "finish_training"]) && toset(keys(google_storage_bucket_iam_member.spark)) == toset(["executors", "similarity", "finish_training"])
    error_message = "others may submit batches or read the events"
  }

  assert {
    condition     = google_project_iam_custom_role.batches[0].permissions == toset(["dataproc.batches.create", "dataproc.batches.get"])
    error_message = "the jobs may do more than submit batches and read their state"
  }
}

run "an_unknown_engine_is_refused" {
  command = plan

  variables {
    similarity_engine = "hadoop"
  }

  expect_failures = [var.similarity_engine]
}

run "bigquery_keeps_what_it_cannot_take" {
  command = plan

  variables {
    bigquery = true
  }

  assert {
    condition     = alltrue([for one in google_pubsub_subscription.bigquery : length(one.dead_letter_policy) == 1]) && length(google_pubsub_subscription_iam_member.bigquery) == length(google_pubsub_subscription.bigquery)
    error_message = "a message that BigQuery refuses is lost"
  }
}

run "deliveries_come_from_a_repository" {
  command = plan

  variables {
    repository   = { owner = "example", name = "shop" }
    state_bucket = "shop-test-123-state"
  }

  assert {
    condition     = google_cloudbuild_trigger.push[0].filename == "cloudbuild.yaml" && google_cloudbuild_trigger.pull_request[0].filename == "cloudbuild.pull-request.yaml"
    error_message = "the triggers run other files"
  }

  assert {
    condition     = contains(keys(local.invokers["migrate"]), "delivery")
    error_message = "the pipeline may not migrate"
  }

  assert {
    condition     = length(local.invokers["first_admin"]) == 0
    error_message = "the pipeline may let admins in"
  }
}

run "operators_get_in" {
  command = plan

  variables {
    operators = ["user:ada@example.com"]
  }

  assert {
    condition     = google_sql_user.operator["user:ada@example.com"].type == "CLOUD_IAM_USER" && contains(values(local.invokers["migrate"]), "user:ada@example.com")
    error_message = "an operator is locked out"
  }

  assert {
    condition     = join(",", values(local.invokers["first_admin"])) == "user:ada@example.com"
    error_message = "others than operators may let admins in"
  }
}

run "raising_the_generation_makes_secrets_anew" {
  command = plan

  variables {
    secrets_generation = 7
  }

  assert {
    condition     = alltrue([for one in google_secret_manager_secret_version.this : one.secret_data_wo_version == "7"])
    error_message = "a secret stays as it was"
  }
}

run "a_project_must_be_one" {
  command         = plan
  expect_failures = [var.project_id]

  variables {
    project_id = "X"
  }
}

run "an_environment_must_be_known" {
  command         = plan
  expect_failures = [var.environment]

  variables {
    environment = "staging"
  }
}

run "cloud_build_needs_the_state" {
  command         = plan
  expect_failures = [var.state_bucket]

  variables {
    repository = { owner = "example", name = "shop" }
  }
}

run "more_connections_than_there_are_is_refused" {
  command         = plan
  expect_failures = [google_sql_database_instance.this]

  variables {
    database      = { max_connections = 40 }
    max_instances = 20
  }
}
