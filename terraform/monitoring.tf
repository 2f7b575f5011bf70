# With var.monitoring: uptime checks, service-level objectives and alerts. docs/runbooks explains the thresholds.

locals {
  watched = var.monitoring ? { for name, entry in local.entries : name => entry if entry.public } : {}
  # without public access, Google's checks are refused too
  checked  = var.public_access == "none" ? {} : local.watched
  channels = var.monitoring && var.alert_email != null ? [google_monitoring_notification_channel.email[0].id] : []
  # over 28 days: the share of successful requests, and the share of fast ones; cold starts count
  objectives = { availability = local.prod ? 0.999 : 0.99, latency = 0.95 }
  fast_ms    = 500
  # time limit of a request that starts an instance, which loads the code and connects to Postgres, Redis and Pub/Sub
  uptime_s    = 30
  run_service = "resource.type=\"cloud_run_revision\" AND resource.labels.service_name=\"%s\""
  runbooks    = "docs/runbooks/%s.md in the repository"

  # alerts on a single metric: its filter, aggregation and threshold
  alerts = merge(
    {
      dead-letters = {
        title   = "Messages were dead-lettered", runbook = "dead-letters", severity = "ERROR"
        filter  = "resource.type=\"pubsub_subscription\" AND metric.type=\"pubsub.googleapis.com/subscription/num_undelivered_messages\" AND resource.labels.subscription_id=monitoring.regex.full_match(\".*-dead-letter\")"
        aligner = "ALIGN_MAX", reducer = "REDUCE_SUM", by = ["resource.labels.subscription_id"], threshold = 0, duration = "0s"
      }
      old-messages = {
        title   = "Events wait for more than ten minutes", runbook = "dead-letters", severity = "WARNING"
        filter  = "resource.type=\"pubsub_subscription\" AND metric.type=\"pubsub.googleapis.com/subscription/oldest_unacked_message_age\" AND NOT resource.labels.subscription_id=monitoring.regex.full_match(\".*-dead-letter\")"
        aligner = "ALIGN_MAX", reducer = "REDUCE_MAX", by = ["resource.labels.subscription_id"], threshold = 600, duration = "300s"
      }
      sql-connections = {
        title   = "Postgres has few connections left", runbook = "database-failover", severity = "WARNING"
        filter  = "resource.type=\"cloudsql_database\" AND metric.type=\"cloudsql.googleapis.com/database/postgresql/num_backends\""
        aligner = "ALIGN_MAX", reducer = "REDUCE_SUM", by = ["resource.labels.database_id"], threshold = floor(local.database.max_connections * 0.8), duration = "300s"
      }
      sql-disk = {
        title   = "Postgres' disk is filling", runbook = "cost-spike", severity = "WARNING"
        filter  = "resource.type=\"cloudsql_database\" AND metric.type=\"cloudsql.googleapis.com/database/disk/utilization\""
        aligner = "ALIGN_MEAN", reducer = "REDUCE_MAX", by = ["resource.labels.database_id"], threshold = 0.85, duration = "900s"
      }
      sql-cpu = {
        title   = "Postgres is busy", runbook = "database-failover", severity = "WARNING"
        filter  = "resource.type=\"cloudsql_database\" AND metric.type=\"cloudsql.googleapis.com/database/cpu/utilization\""
        aligner = "ALIGN_MEAN", reducer = "REDUCE_MAX", by = ["resource.labels.database_id"], threshold = 0.9, duration = "900s"
      }
    },
    local.redis ? {
      redis-memory = {
        title   = "Redis is full", runbook = "redis-lost", severity = "WARNING"
        filter  = "resource.type=\"redis_instance\" AND metric.type=\"redis.googleapis.com/stats/memory/system_memory_usage_ratio\""
        aligner = "ALIGN_MEAN", reducer = "REDUCE_MAX", by = ["resource.labels.instance_id"], threshold = 0.9, duration = "900s"
      }
      # seconds of its main thread per second; the capacity plan leaves 40% to spare
      redis-cpu = {
        title   = "Redis is busier than planned", runbook = "redis-lost", severity = "WARNING"
        filter  = "resource.type=\"redis_instance\" AND metric.type=\"redis.googleapis.com/stats/cpu_utilization_main_thread\""
        aligner = "ALIGN_RATE", reducer = "REDUCE_SUM", by = ["resource.labels.instance_id", "resource.labels.node_id"], threshold = 0.6, duration = "900s"
      }
    } : {},
    {
      job-failures = {
        title   = "A job failed", runbook = "upgrade", severity = "ERROR"
        filter  = "resource.type=\"cloud_run_revision\" AND metric.type=\"run.googleapis.com/request_count\" AND metric.labels.response_code_class!=\"2xx\" AND NOT metric.labels.response_code=one_of(\"${join("\", \"", local.harmless_codes)}\") AND resource.labels.service_name=monitoring.regex.full_match(\"${local.scheduled_services}\")"
        aligner = "ALIGN_SUM", reducer = "REDUCE_SUM", by = ["resource.labels.service_name"], threshold = 2, duration = "0s"
      }
      function-cpu = {
        title   = "A function's CPU is exhausted", runbook = "errors", severity = "WARNING"
        filter  = "resource.type=\"cloud_run_revision\" AND metric.type=\"run.googleapis.com/container/cpu/utilizations\" AND NOT resource.labels.service_name=monitoring.regex.full_match(\"${local.heavy_services}\")"
        aligner = "ALIGN_PERCENTILE_99", reducer = "REDUCE_MAX", by = ["resource.labels.service_name"], threshold = 0.95, duration = "900s"
      }
      function-memory = {
        title   = "A function's memory is nearly used up", runbook = "errors", severity = "WARNING"
        filter  = "resource.type=\"cloud_run_revision\" AND metric.type=\"run.googleapis.com/container/memory/utilizations\""
        aligner = "ALIGN_PERCENTILE_99", reducer = "REDUCE_MAX", by = ["resource.labels.service_name"], threshold = 0.9, duration = "300s"
      }
    },
    # the longest run of a job has used 90% of its time limit
    {
      for limit, names in local.heavy_by_limit : "job-duration-${limit}" => {
        title   = "A job takes nearly as long as it may (${limit} s)", runbook = "upgrade", severity = "WARNING"
        filter  = "resource.type=\"cloud_run_revision\" AND metric.type=\"run.googleapis.com/request_latencies\" AND resource.labels.service_name=monitoring.regex.full_match(\"${join("|", sort(names))}\")"
        aligner = "ALIGN_PERCENTILE_99", reducer = "REDUCE_MAX", by = ["resource.labels.service_name"], threshold = tonumber(limit) * 900, duration = "0s"
      }
    },
    # not for jobs: their limit of one instance is reached by every run
    {
      for name, entry in local.watched : "instances-${name}" => {
        title   = "${name} runs at its limit of instances", runbook = "errors", severity = "WARNING"
        filter  = "resource.type=\"cloud_run_revision\" AND metric.type=\"run.googleapis.com/container/instance_count\" AND metric.labels.state=\"active\" AND resource.labels.service_name=\"${replace(name, "_", "-")}\""
        aligner = "ALIGN_MAX", reducer = "REDUCE_SUM", by = ["resource.labels.service_name"], threshold = entry.max_instances - 0.5, duration = "600s"
      }
    },
  )

  # 409: the job is still running, or the database has no schema yet; 429: its only instance is busy
  harmless_codes = ["409", "429"]

  # the services of heavy jobs, which use a full CPU by design; those of scheduled jobs; and those of scheduled heavy
  # jobs, by time limit in seconds
  heavy_services     = join("|", [for name in sort(keys(local.entries)) : replace(name, "_", "-") if local.entries[name].heavy])
  scheduled_services = join("|", [for name in sort(keys(local.entries)) : replace(name, "_", "-") if local.entries[name].schedule != null])
  heavy_by_limit     = { for name, entry in local.entries : entry.timeout_s => replace(name, "_", "-")... if entry.heavy && entry.schedule != null }
}

resource "google_monitoring_notification_channel" "email" {
  count = var.monitoring && var.alert_email != null ? 1 : 0

  display_name = "Aisle"
  type         = "email"
  labels       = { email_address = var.alert_email }

  depends_on = [google_project_service.api]
}

resource "google_monitoring_uptime_check_config" "function" {
  for_each = local.checked

  display_name = "Aisle: ${each.key}"
  period       = "300s"
  timeout      = "${local.uptime_s}s"

  http_check {
    path         = "/health"
    port         = 443
    use_ssl      = true
    validate_ssl = true
  }

  monitored_resource {
    # checks the function itself: uptime checks count as internal where only the load balancer may call it
    type   = "uptime_url"
    labels = { project_id = var.project_id, host = trimprefix(module.function[each.key].url, "https://") }
  }

  depends_on = [google_project_service.api]
}

resource "google_monitoring_alert_policy" "uptime" {
  for_each = local.checked

  display_name          = "Aisle: ${each.key} does not answer"
  combiner              = "OR"
  severity              = "CRITICAL"
  notification_channels = local.channels

  conditions {
    display_name = "From two places at once"

    condition_threshold {
      filter          = "resource.type=\"uptime_url\" AND metric.type=\"monitoring.googleapis.com/uptime_check/check_passed\" AND metric.labels.check_id=\"${google_monitoring_uptime_check_config.function[each.key].uptime_check_id}\""
      comparison      = "COMPARISON_GT"
      threshold_value = 1
      duration        = "60s"

      aggregations {
        alignment_period     = "300s"
        per_series_aligner   = "ALIGN_NEXT_OLDER"
        cross_series_reducer = "REDUCE_COUNT_FALSE"
        group_by_fields      = ["resource.labels.host"]
      }
    }
  }

  documentation {
    content = format(local.runbooks, "upgrade")
  }
}

# Service-level objectives for each public function, from Cloud Run metrics
resource "google_monitoring_custom_service" "function" {
  for_each = local.watched

  service_id   = "aisle-${replace(each.key, "_", "-")}"
  display_name = "Aisle: ${each.key}"

  depends_on = [google_project_service.api]
}

resource "google_monitoring_slo" "availability" {
  for_each = local.watched

  service             = google_monitoring_custom_service.function[each.key].service_id
  slo_id              = "availability"
  display_name        = "${local.objectives.availability * 100} % answered without an error of ours"
  goal                = local.objectives.availability
  rolling_period_days = 28

  request_based_sli {
    good_total_ratio {
      total_service_filter = "metric.type=\"run.googleapis.com/request_count\" AND ${format(local.run_service, module.function[each.key].service)}"
      bad_service_filter   = "metric.type=\"run.googleapis.com/request_count\" AND ${format(local.run_service, module.function[each.key].service)} AND metric.labels.response_code_class=\"5xx\""
    }
  }
}

resource "google_monitoring_slo" "latency" {
  for_each = local.watched

  service             = google_monitoring_custom_service.function[each.key].service_id
  slo_id              = "latency"
  display_name        = "${local.objectives.latency * 100} % answered within ${local.fast_ms} ms"
  goal                = local.objectives.latency
  rolling_period_days = 28

  request_based_sli {
    distribution_cut {
      distribution_filter = "metric.type=\"run.googleapis.com/request_latencies\" AND ${format(local.run_service, module.function[each.key].service)}"

      range {
        max = local.fast_ms
      }
    }
  }
}

# Burn rates of the error budget: fast (2% in an hour) and slow (5% in six hours). Both windows must exceed the rate.
resource "google_monitoring_alert_policy" "burn" {
  for_each = {
    for pair in setproduct(keys(local.watched), ["availability", "latency"], ["fast", "slow"]) :
    join(" ", pair) => { function = pair[0], objective = pair[1], speed = pair[2] }
  }

  display_name          = "Aisle: ${each.value.function} burns its ${each.value.objective} budget ${each.value.speed == "fast" ? "fast" : "slowly"}"
  combiner              = "AND"
  severity              = each.value.speed == "fast" ? "CRITICAL" : "WARNING"
  notification_channels = local.channels

  dynamic "conditions" {
    for_each = each.value.speed == "fast" ? { "3600s" = 13.4, "300s" = 13.4 } : { "21600s" = 5.6, "1800s" = 5.6 }

    content {
      display_name = "${conditions.value} times too fast over ${conditions.key}"

      condition_threshold {
        filter          = "select_slo_burn_rate(\"${each.value.objective == "latency" ? google_monitoring_slo.latency[each.value.function].id : google_monitoring_slo.availability[each.value.function].id}\", \"${conditions.key}\")"
        comparison      = "COMPARISON_GT"
        threshold_value = conditions.value
        duration        = "0s"
      }
    }
  }

  documentation {
    content = format(local.runbooks, "rollback")
  }
}

resource "google_monitoring_alert_policy" "this" {
  for_each = var.monitoring ? local.alerts : {}

  display_name          = "Aisle: ${each.value.title}"
  combiner              = "OR"
  severity              = each.value.severity
  notification_channels = local.channels

  conditions {
    display_name = each.value.title

    condition_threshold {
      filter          = each.value.filter
      comparison      = "COMPARISON_GT"
      threshold_value = each.value.threshold
      duration        = each.value.duration

      aggregations {
        alignment_period     = "300s"
        per_series_aligner   = each.value.aligner
        cross_series_reducer = each.value.reducer
        group_by_fields      = each.value.by
      }
    }
  }

  documentation {
    content = format(local.runbooks, each.value.runbook)
  }

  depends_on = [google_project_service.api]
}

# Matches the log line itself: an alert on a log-based metric would have to wait for the metric
resource "google_monitoring_alert_policy" "model_drift" {
  count = var.monitoring ? 1 : 0

  display_name          = "Aisle: The shop has drifted from its model"
  combiner              = "OR"
  severity              = "WARNING"
  notification_channels = local.channels

  conditions {
    display_name = "The job similarity logged model drift"

    condition_matched_log {
      # jobs/tuning/drift.py
      filter = "resource.type=\"cloud_run_revision\" AND jsonPayload.message=\"model drift\""
    }
  }

  alert_strategy {
    auto_close = "604800s"

    notification_rate_limit {
      period = "86400s"
    }
  }

  documentation {
    content = format(local.runbooks, "model-drift")
  }

  depends_on = [google_project_service.api]
}

# Only for the dashboard: Cloud Monitoring rejects alerts on a log-based metric for ten minutes after its creation. Each
# instance logs its cache hits and misses once a minute (shared/storage/answers/lookups.py)
resource "google_logging_metric" "cache" {
  for_each = toset(var.monitoring ? ["hits", "misses"] : [])

  name            = "aisle/cache-${each.key}"
  description     = "Answers that were ${each.key == "hits" ? "" : "not "}in Redis, by the minute and instance"
  filter          = "resource.type=\"cloud_run_revision\" AND jsonPayload.message=\"cache\" AND jsonPayload.${each.key}>0"
  value_extractor = "EXTRACT(jsonPayload.${each.key})"
  label_extractors = {
    service = "EXTRACT(resource.labels.service_name)"
  }

  metric_descriptor {
    metric_kind = "DELTA"
    value_type  = "DISTRIBUTION"

    labels {
      key = "service"
    }
  }

  bucket_options {
    exponential_buckets {
      num_finite_buckets = 32
      growth_factor      = 2
      scale              = 1
    }
  }

  depends_on = [google_project_service.api]
}

# from Cloud Run's request log: how long a shopper waits, including cold starts
resource "google_logging_metric" "recommendation_latency" {
  count = var.monitoring ? 1 : 0

  name            = "aisle/recommendation-latency"
  description     = "Seconds until GET /recommendations was answered"
  filter          = "resource.type=\"cloud_run_revision\" AND log_id(\"run.googleapis.com/requests\") AND httpRequest.requestUrl=~\"/recommendations\\?\""
  value_extractor = "EXTRACT(httpRequest.latency)"

  metric_descriptor {
    metric_kind = "DELTA"
    value_type  = "DISTRIBUTION"
    unit        = "s"
  }

  bucket_options {
    exponential_buckets {
      num_finite_buckets = 24
      growth_factor      = 1.6
      scale              = 0.001
    }
  }

  depends_on = [google_project_service.api]
}

resource "google_billing_budget" "this" {
  count = var.billing_account == null ? 0 : 1

  billing_account = var.billing_account
  display_name    = "Aisle ${var.environment}"

  budget_filter {
    projects = ["projects/${data.google_project.this.number}"]
  }

  amount {
    specified_amount {
      units = tostring(floor(var.monthly_budget))
    }
  }

  dynamic "threshold_rules" {
    for_each = [0.5, 0.9, 1.0]

    content {
      threshold_percent = threshold_rules.value
    }
  }

  threshold_rules {
    threshold_percent = 1.0
    spend_basis       = "FORECASTED_SPEND"
  }

  all_updates_rule {
    monitoring_notification_channels = local.channels
    enable_project_level_recipients  = true
  }

  depends_on = [google_project_service.api]
}
