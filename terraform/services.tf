# The project's APIs. They stay enabled when this configuration is destroyed: other software in the project may use
# them.

locals {
  apis = toset(concat(
    [
      "artifactregistry", "cloudbuild", "cloudfunctions", "cloudscheduler", "compute", "iam", "iamcredentials", "logging",
      "monitoring", "pubsub", "run", "secretmanager", "servicenetworking", "sqladmin", "storage",
    ],
    local.redis ? ["redis"] : [],
    var.vpc_egress == "connector" ? ["vpcaccess"] : [],
    var.bigquery ? ["bigquery"] : [],
    local.sparks ? ["dataproc"] : [],
    var.billing_account == null ? [] : ["billingbudgets"],
    local.sends_to_google ? ["cloudtrace", "telemetry"] : [],
  ))
}

data "google_project" "this" {
  project_id = var.project_id
}

resource "google_project_service" "api" {
  for_each = local.apis

  service            = "${each.key}.googleapis.com"
  disable_on_destroy = false
}
