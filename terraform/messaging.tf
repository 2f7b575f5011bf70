# The topics of functions.yaml, each with a dead-letter topic, and a push subscription for each event function.
# Why our own subscriptions instead of Eventarc triggers: docs/decisions/0017-push-subscriptions.md

locals {
  topics         = toset(keys(local.manifest.topics))
  events         = { for name, entry in local.entries : name => entry if entry.kind == "event" }
  pubsub_service = "serviceAccount:service-${data.google_project.this.number}@gcp-sa-pubsub.iam.gserviceaccount.com"
  # pairs of function and topic: each function may publish to its own topics, and check that all topics exist
  publishers = merge([
    for name, entry in local.entries : { for topic in entry.publishes : "${name} ${topic}" => { function = name, topic = topic } }
  ]...)
  topic_viewers = {
    for pair in setproduct([for name, entry in local.entries : name if contains(entry.needs, "pubsub")], local.topics) :
    "${pair[0]} ${pair[1]}" => { function = pair[0], topic = pair[1] }
  }
  # this job and the admin function read dead letters
  replay_jobs = toset([for name in keys(local.entries) : name if name == "replay_dead_letters"])
  replayers = {
    for pair in setproduct(setunion(local.schedule_readers, local.replay_jobs), local.topics) :
    "${pair[0]} ${pair[1]}" => { function = pair[0], topic = pair[1] }
  }
}

# Pub/Sub rejects messages that do not match the schema of their topic. user-events has none: its metadata is any JSON,
# which neither of Pub/Sub's schema languages can express (docs/decisions/0017-push-subscriptions.md)
resource "google_pubsub_schema" "this" {
  for_each = { for topic in local.topics : topic => "${path.module}/schemas/${topic}.proto" if fileexists("${path.module}/schemas/${topic}.proto") }

  name       = each.key
  type       = "PROTOCOL_BUFFER"
  definition = file(each.value)

  depends_on = [google_project_service.api]
}

resource "google_pubsub_topic" "this" {
  #checkov:skip=CKV_GCP_83:Google's keys encrypt it; customer-managed keys could be lost
  for_each = local.topics

  name                       = each.key
  message_retention_duration = "604800s" # a week, which a seek can replay

  dynamic "schema_settings" {
    for_each = contains(keys(google_pubsub_schema.this), each.key) ? [1] : []

    content {
      schema   = google_pubsub_schema.this[each.key].id
      encoding = "JSON"
    }
  }

  message_storage_policy {
    allowed_persistence_regions = [var.region]
  }

  depends_on = [google_project_service.api]
}

resource "google_pubsub_topic" "dead_letter" {
  #checkov:skip=CKV_GCP_83:Google's keys encrypt it; customer-managed keys could be lost
  for_each = local.topics

  name                       = "${each.key}-dead-letter"
  message_retention_duration = "2678400s" # 31 days, the maximum

  message_storage_policy {
    allowed_persistence_regions = [var.region]
  }

  depends_on = [google_project_service.api]
}

# keeps dead letters until the job replay_dead_letters or an administrator replays them
resource "google_pubsub_subscription" "dead_letter" {
  for_each = local.topics

  name                       = "${each.key}-dead-letter"
  topic                      = google_pubsub_topic.dead_letter[each.key].id
  ack_deadline_seconds       = 60
  message_retention_duration = "2678400s"

  expiration_policy {
    ttl = "" # never
  }
}

resource "google_pubsub_subscription" "event" {
  for_each = local.events

  name                       = each.key
  topic                      = google_pubsub_topic.this[each.value.topic].id
  filter                     = each.value.filter
  ack_deadline_seconds       = max(10, min(600, each.value.timeout_s))
  message_retention_duration = "604800s"

  push_config {
    push_endpoint = module.function[each.key].url

    oidc_token {
      service_account_email = google_service_account.push.email
      audience              = module.function[each.key].url
    }
  }

  retry_policy {
    minimum_backoff = "${each.value.min_backoff_s}s"
    maximum_backoff = "${each.value.max_backoff_s}s"
  }

  dead_letter_policy {
    dead_letter_topic     = google_pubsub_topic.dead_letter[each.value.topic].id
    max_delivery_attempts = each.value.attempts
  }

  expiration_policy {
    ttl = ""
  }

  # without these grants, it would deliver nothing or lose dead letters
  depends_on = [time_sleep.pubsub_grants]
}

# Google creates Pub/Sub's service agent with a project's first topic. Until it exists, IAM rejects grants to it.
resource "time_sleep" "pubsub_agent" {
  create_duration = "60s"

  depends_on = [google_pubsub_topic.this, google_pubsub_topic.dead_letter]
}

# Its grants take a while to take effect, too: Pub/Sub rejects a subscription that its agent cannot serve
resource "time_sleep" "pubsub_grants" {
  create_duration = "60s"

  # a new topic's grants need a new wait
  triggers = { topics = join(" ", local.topics), tables = join(" ", local.analysed) }

  depends_on = [
    google_pubsub_topic_iam_member.dead_letter,
    google_service_account_iam_member.push_token,
    google_bigquery_table_iam_member.pubsub,
  ]
}

# Pub/Sub's agent moves a dead letter: it publishes to the dead-letter topic and acknowledges on the subscription
resource "google_pubsub_topic_iam_member" "dead_letter" {
  for_each = local.topics

  topic  = google_pubsub_topic.dead_letter[each.key].id
  role   = "roles/pubsub.publisher"
  member = local.pubsub_service

  depends_on = [time_sleep.pubsub_agent]
}

resource "google_pubsub_subscription_iam_member" "dead_letter" {
  for_each = local.events

  subscription = google_pubsub_subscription.event[each.key].id
  role         = "roles/pubsub.subscriber"
  member       = local.pubsub_service
}

# ... and signs the tokens of the push account
resource "google_service_account_iam_member" "push_token" {
  service_account_id = google_service_account.push.name
  role               = "roles/iam.serviceAccountTokenCreator"
  member             = local.pubsub_service

  depends_on = [time_sleep.pubsub_agent]
}

resource "google_pubsub_topic_iam_member" "publisher" {
  for_each = local.publishers

  topic  = google_pubsub_topic.this[each.value.topic].id
  role   = "roles/pubsub.publisher"
  member = module.function[each.value.function].member
}

# GET /health and ./aisle doctor check that topics exist
resource "google_pubsub_topic_iam_member" "viewer" {
  for_each = local.topic_viewers

  topic  = google_pubsub_topic.this[each.value.topic].id
  role   = "roles/pubsub.viewer"
  member = module.function[each.value.function].member
}

resource "google_pubsub_subscription_iam_member" "replayer" {
  for_each = local.replayers

  subscription = google_pubsub_subscription.dead_letter[each.value.topic].id
  role         = "roles/pubsub.subscriber"
  member       = module.function[each.value.function].member
}
