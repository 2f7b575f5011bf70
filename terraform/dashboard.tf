# The dashboard: what shoppers experience on top, the services below.

locals {
  charts = concat(
    [
      { title = "Requests per second", filter = "metric.type=\"run.googleapis.com/request_count\" resource.type=\"cloud_run_revision\"", aligner = "ALIGN_RATE", reducer = "REDUCE_SUM", by = ["resource.label.service_name"] },
      { title = "Errors per second", filter = "metric.type=\"run.googleapis.com/request_count\" resource.type=\"cloud_run_revision\" metric.label.response_code_class=\"5xx\"", aligner = "ALIGN_RATE", reducer = "REDUCE_SUM", by = ["resource.label.service_name"] },
      { title = "Latency, 95th percentile (ms)", filter = "metric.type=\"run.googleapis.com/request_latencies\" resource.type=\"cloud_run_revision\"", aligner = "ALIGN_DELTA", reducer = "REDUCE_PERCENTILE_95", by = ["resource.label.service_name"] },
      { title = "Instances", filter = "metric.type=\"run.googleapis.com/container/instance_count\" resource.type=\"cloud_run_revision\"", aligner = "ALIGN_MAX", reducer = "REDUCE_SUM", by = ["resource.label.service_name"] },
      { title = "Recommendations, 95th percentile (s)", filter = "metric.type=\"logging.googleapis.com/user/aisle/recommendation-latency\" resource.type=\"cloud_run_revision\"", aligner = "ALIGN_DELTA", reducer = "REDUCE_PERCENTILE_95", by = [] },
      { title = "Cache hits by the minute", filter = "metric.type=\"logging.googleapis.com/user/aisle/cache-hits\" resource.type=\"cloud_run_revision\"", aligner = "ALIGN_DELTA", reducer = "REDUCE_MEAN", by = ["metric.label.service"] },
      { title = "Events that wait", filter = "metric.type=\"pubsub.googleapis.com/subscription/num_undelivered_messages\" resource.type=\"pubsub_subscription\"", aligner = "ALIGN_MAX", reducer = "REDUCE_SUM", by = ["resource.label.subscription_id"] },
      { title = "Oldest waiting event (s)", filter = "metric.type=\"pubsub.googleapis.com/subscription/oldest_unacked_message_age\" resource.type=\"pubsub_subscription\"", aligner = "ALIGN_MAX", reducer = "REDUCE_MAX", by = ["resource.label.subscription_id"] },
      { title = "Functions: CPU, 99th percentile", filter = "metric.type=\"run.googleapis.com/container/cpu/utilizations\" resource.type=\"cloud_run_revision\"", aligner = "ALIGN_DELTA", reducer = "REDUCE_PERCENTILE_99", by = ["resource.label.service_name"] },
      { title = "Functions: memory, 99th percentile", filter = "metric.type=\"run.googleapis.com/container/memory/utilizations\" resource.type=\"cloud_run_revision\"", aligner = "ALIGN_DELTA", reducer = "REDUCE_PERCENTILE_99", by = ["resource.label.service_name"] },
      { title = "Jobs: duration (ms)", filter = "metric.type=\"run.googleapis.com/request_latencies\" resource.type=\"cloud_run_revision\" resource.label.service_name=monitoring.regex.full_match(\"${join("|", [for name in sort(keys(local.schedules)) : replace(name, "_", "-")])}\")", aligner = "ALIGN_DELTA", reducer = "REDUCE_PERCENTILE_99", by = ["resource.label.service_name"] },
      { title = "Postgres: CPU", filter = "metric.type=\"cloudsql.googleapis.com/database/cpu/utilization\" resource.type=\"cloudsql_database\"", aligner = "ALIGN_MEAN", reducer = "REDUCE_MEAN", by = [] },
      { title = "Postgres: connections", filter = "metric.type=\"cloudsql.googleapis.com/database/postgresql/num_backends\" resource.type=\"cloudsql_database\"", aligner = "ALIGN_MAX", reducer = "REDUCE_SUM", by = [] },
    ],
    local.redis ? [
      { title = "Redis: memory", filter = "metric.type=\"redis.googleapis.com/stats/memory/system_memory_usage_ratio\" resource.type=\"redis_instance\"", aligner = "ALIGN_MEAN", reducer = "REDUCE_MAX", by = [] },
      { title = "Redis: thread", filter = "metric.type=\"redis.googleapis.com/stats/cpu_utilization_main_thread\" resource.type=\"redis_instance\"", aligner = "ALIGN_RATE", reducer = "REDUCE_SUM", by = ["resource.label.node_id"] },
      { title = "Redis: hit ratio", filter = "metric.type=\"redis.googleapis.com/stats/cache_hit_ratio\" resource.type=\"redis_instance\"", aligner = "ALIGN_MEAN", reducer = "REDUCE_MEAN", by = [] },
    ] : [],
  )
}

resource "google_monitoring_dashboard" "this" {
  count = var.monitoring ? 1 : 0

  dashboard_json = jsonencode({
    displayName = "Aisle"
    mosaicLayout = {
      columns = 48
      tiles = [
        for position, chart in local.charts : {
          xPos   = (position % 2) * 24
          yPos   = floor(position / 2) * 16
          width  = 24
          height = 16
          widget = {
            title = chart.title
            xyChart = {
              dataSets = [{
                plotType = "LINE"
                timeSeriesQuery = {
                  timeSeriesFilter = {
                    filter = chart.filter
                    aggregation = {
                      alignmentPeriod    = "60s"
                      perSeriesAligner   = chart.aligner
                      crossSeriesReducer = chart.reducer
                      groupByFields      = chart.by
                    }
                  }
                }
              }]
            }
          }
        }
      ]
    }
  })

  depends_on = [google_logging_metric.cache, google_logging_metric.recommendation_latency]
}
