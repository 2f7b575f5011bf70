# With var.bigquery, a subscription also writes every raw event to BigQuery, for analyses that outgrow one machine.

locals {
  analysed = var.bigquery ? local.topics : []
}

resource "google_bigquery_dataset" "events" {
  count = var.bigquery ? 1 : 0

  dataset_id                 = "aisle"
  location                   = var.region
  delete_contents_on_destroy = !local.prod

  depends_on = [google_project_service.api]
}

resource "google_bigquery_table" "messages" {
  #checkov:skip=CKV_GCP_80:Google's keys encrypt it; customer-managed keys could be lost
  for_each = local.analysed

  dataset_id          = google_bigquery_dataset.events[0].dataset_id
  table_id            = replace(each.key, "-", "_")
  deletion_protection = local.protected
  clustering          = ["subscription_name"]

  time_partitioning {
    type          = "DAY"
    field         = "publish_time"
    expiration_ms = 34214400000 # 13 months of 30.46 days, as in Postgres
  }

  # the columns that a subscription with write_metadata fills: metadata, and the message as JSON
  schema = jsonencode([
    { name = "subscription_name", type = "STRING" },
    { name = "message_id", type = "STRING" },
    { name = "publish_time", type = "TIMESTAMP" },
    { name = "data", type = "JSON" },
    { name = "attributes", type = "JSON" },
  ])
}

resource "google_bigquery_table_iam_member" "pubsub" {
  for_each = local.analysed

  dataset_id = google_bigquery_dataset.events[0].dataset_id
  table_id   = google_bigquery_table.messages[each.key].table_id
  role       = "roles/bigquery.dataEditor"
  member     = local.pubsub_service

  depends_on = [time_sleep.pubsub_agent]
}

resource "google_pubsub_subscription" "bigquery" {
  for_each = local.analysed

  name                       = "${each.key}-bigquery"
  topic                      = google_pubsub_topic.this[each.key].id
  message_retention_duration = "604800s"

  bigquery_config {
    table          = "${var.project_id}.${google_bigquery_table.messages[each.key].dataset_id}.${google_bigquery_table.messages[each.key].table_id}"
    write_metadata = true
  }

  expiration_policy {
    ttl = ""
  }

  dead_letter_policy {
    dead_letter_topic     = google_pubsub_topic.dead_letter[each.key].id
    max_delivery_attempts = 20
  }

  # Pub/Sub checks that it may write to the table
  depends_on = [time_sleep.pubsub_grants]
}

resource "google_pubsub_subscription_iam_member" "bigquery" {
  for_each = local.analysed

  subscription = google_pubsub_subscription.bigquery[each.key].id
  role         = "roles/pubsub.subscriber"
  member       = local.pubsub_service
}
