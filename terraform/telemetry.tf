# Traces and metrics of the functions (docs/observability.md). Off unless otlp_endpoint is set.

locals {
  google_telemetry = "https://telemetry.googleapis.com"
  sends_to_google  = var.otlp_endpoint == local.google_telemetry
  telemetry_roles  = ["roles/telemetry.metricsWriter", "roles/telemetry.tracesWriter"]
}

# Google's endpoint accepts what a function's service account may write; no other receiver knows service accounts
resource "google_project_iam_member" "telemetry" {
  for_each = local.sends_to_google ? {
    for pair in setproduct(keys(local.entries), local.telemetry_roles) : "${pair[0]} ${pair[1]}" => pair
  } : {}

  project = var.project_id
  role    = each.value[1]
  member  = module.function[each.value[0]].member
}
