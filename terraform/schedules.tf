# Cloud Scheduler calls each job on its cron schedule, with the token that the job's IAM policy requires.

locals {
  schedules = { for name, entry in local.entries : name => entry if entry.kind == "job" && entry.schedule != null }
}

resource "google_cloud_scheduler_job" "this" {
  for_each = local.schedules

  name             = each.key
  region           = var.region
  schedule         = each.value.schedule
  time_zone        = "Etc/UTC"
  attempt_deadline = "${max(15, min(1800, each.value.timeout_s))}s"

  http_target {
    http_method = "POST"
    uri         = module.function[each.key].url
    body        = base64encode("{}")
    headers     = { "Content-Type" = "application/json" }

    oidc_token {
      service_account_email = google_service_account.scheduler.email
      audience              = module.function[each.key].url
    }
  }

  retry_config {
    # a job that runs every minute needs no retry: its next run follows soon
    retry_count          = startswith(each.value.schedule, "* ") ? 0 : 2
    min_backoff_duration = "60s"
    max_backoff_duration = "600s"
  }

  lifecycle {
    # an administrator pauses jobs with POST /admin/jobs/{name}/pause; a deployment must not resume them
    ignore_changes = [paused]
  }
}

# the role for /admin/jobs: list, run, pause and resume schedules, and nothing else
resource "google_project_iam_custom_role" "schedules" {
  role_id     = "aisleSchedules"
  title       = "Aisle: run and pause schedules"
  permissions = ["cloudscheduler.jobs.get", "cloudscheduler.jobs.list", "cloudscheduler.jobs.run", "cloudscheduler.jobs.pause", "cloudscheduler.jobs.enable"]

  depends_on = [google_project_service.api]
}

resource "google_project_iam_member" "schedules" {
  for_each = local.schedule_readers

  project = var.project_id
  role    = google_project_iam_custom_role.schedules.id
  member  = module.function[each.key].member
}
