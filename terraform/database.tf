# PostgreSQL on a private address. There are no passwords: functions and operators log in with their Google identity.
# docs/decisions/0013-database-roles.md describes the roles inside the database.

locals {
  database_size = {
    dev  = { tier = "db-f1-micro", high_availability = false, disk_gb = 10, max_connections = 200 }
    prod = { tier = "db-custom-2-7680", high_availability = true, disk_gb = 50, max_connections = 1200 }
  }[var.environment]
  database = {
    tier              = coalesce(var.database.tier, local.database_size.tier)
    high_availability = coalesce(var.database.high_availability, local.database_size.high_availability)
    disk_gb           = coalesce(var.database.disk_gb, local.database_size.disk_gb)
    max_connections   = coalesce(var.database.max_connections, local.database_size.max_connections)
  }
  # Connections of all functions together; 15 more are reserved for operators, backups and Cloud SQL itself. While a
  # release rolls out, the instances of the previous revision hold theirs until their requests end. A job's next run
  # starts after the previous one has ended.
  connections = sum([
    for name, entry in local.entries : (entry.kind == "job" ? 1 : 2) * entry.max_instances * entry.pool_size
    if contains(entry.needs, "postgres")
  ])
  # Cloud SQL names a service account by its email address without .gserviceaccount.com
  database_users = {
    for name, entry in local.entries : name => "${local.accounts[name]}@${var.project_id}.iam"
    if contains(entry.needs, "postgres")
  }
}

resource "google_sql_database_instance" "this" {
  #checkov:skip=CKV_GCP_6:ssl_mode ENCRYPTED_ONLY refuses plain connections; the connector provides client certificates
  #checkov:skip=CKV_GCP_51:set in local.database_flags; a dynamic block is not evaluated
  #checkov:skip=CKV_GCP_52:set in local.database_flags; a dynamic block is not evaluated
  #checkov:skip=CKV_GCP_53:set in local.database_flags; a dynamic block is not evaluated
  #checkov:skip=CKV_GCP_54:set in local.database_flags; a dynamic block is not evaluated
  #checkov:skip=CKV_GCP_111:set in local.database_flags; a dynamic block is not evaluated
  #checkov:skip=CKV_GCP_108:it needs a DNS lookup for each connection; private addresses are logged
  #checkov:skip=CKV_GCP_109:the default level, warning, includes errors
  #checkov:skip=CKV_GCP_110:the table audit_log records administration; logged statements would contain personal data
  #checkov:skip=CKV2_GCP_13:query insights record durations without a log line for each statement
  name                = "aisle"
  region              = var.region
  database_version    = "POSTGRES_18"
  deletion_protection = local.protected

  settings {
    edition                     = "ENTERPRISE" # Enterprise Plus, the default since PostgreSQL 16, has no small tiers
    tier                        = local.database.tier
    availability_type           = local.database.high_availability ? "REGIONAL" : "ZONAL"
    disk_type                   = "PD_SSD"
    disk_size                   = local.database.disk_gb
    disk_autoresize             = true
    disk_autoresize_limit       = min(local.database.disk_gb * 10, 65536)
    deletion_protection_enabled = local.protected
    retain_backups_on_delete    = local.prod

    ip_configuration {
      ipv4_enabled                                  = false
      private_network                               = google_compute_network.this.id
      allocated_ip_range                            = google_compute_global_address.services.name
      ssl_mode                                      = "ENCRYPTED_ONLY"
      enable_private_path_for_google_cloud_services = true
    }

    backup_configuration {
      enabled                        = true
      start_time                     = "01:00" # before the nightly jobs
      point_in_time_recovery_enabled = true
      transaction_log_retention_days = 7

      backup_retention_settings {
        retained_backups = local.prod ? 30 : 7
      }
    }

    maintenance_window {
      day          = 7
      hour         = 5
      update_track = local.prod ? "stable" : "canary"
    }

    insights_config {
      query_insights_enabled  = true
      query_string_length     = 2048
      query_plans_per_minute  = 5
      record_application_tags = true
    }

    dynamic "database_flags" {
      for_each = local.database_flags

      content {
        name  = database_flags.key
        value = database_flags.value
      }
    }
  }

  lifecycle {
    # the disk grows automatically; shrinking it would recreate the instance
    ignore_changes = [settings[0].disk_size]

    precondition {
      condition     = local.connections + 15 <= local.database.max_connections
      error_message = "Functions may open ${local.connections} connections while a release rolls out, and 15 more are reserved, but max_connections is ${local.database.max_connections}. Raise database.max_connections, or lower max_instances."
    }
  }

  depends_on = [google_service_networking_connection.services]
}

locals {
  database_flags = {
    "cloudsql.iam_authentication"         = "on"
    "max_connections"                     = tostring(local.database.max_connections)
    "random_page_cost"                    = "1.1" # SSD
    "idle_in_transaction_session_timeout" = "60000"
    "log_min_duration_statement"          = "1000"
    "log_checkpoints"                     = "on"
    "log_connections"                     = "on"
    "log_disconnections"                  = "on"
    "log_lock_waits"                      = "on"
    "log_temp_files"                      = "0"
    "log_statement"                       = "ddl"
    "log_error_verbosity"                 = "terse" # DETAIL and CONTEXT repeat values: emails, hashes of tokens
  }
}

resource "google_sql_database" "this" {
  name     = "aisle"
  instance = google_sql_database_instance.this.name
  # it is deleted with its instance; dropping it first fails while a function is connected
  deletion_policy = "ABANDON"
}

resource "google_sql_user" "function" {
  for_each = { for name, entry in local.entries : name => entry if contains(entry.needs, "postgres") }

  # refers to the account, so that the account exists first
  name     = "${module.function[each.key].account}@${var.project_id}.iam"
  instance = google_sql_database_instance.this.name
  type     = "CLOUD_IAM_SERVICE_ACCOUNT"
  # creates the roles of all other users, and the extensions
  database_roles = each.key == local.migrator ? ["cloudsqlsuperuser"] : []
  # a role that owns objects cannot be dropped
  deletion_policy = "ABANDON"
}

resource "google_sql_user" "operator" {
  for_each = var.operators

  name            = trimprefix(each.key, "user:")
  instance        = google_sql_database_instance.this.name
  type            = "CLOUD_IAM_USER"
  deletion_policy = "ABANDON"
}
