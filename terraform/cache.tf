# Redis on a private address, with a password (AUTH) and TLS. Everything in it can be recomputed.

locals {
  redis_size = {
    dev  = { tier = "BASIC", memory_gb = 1 }
    prod = { tier = "STANDARD_HA", memory_gb = 5 }
  }[var.environment]
  redis_tier = coalesce(var.redis.tier, local.redis_size.tier)
  redis      = local.redis_tier != "NONE"
}

resource "google_redis_instance" "this" {
  count = local.redis ? 1 : 0

  name                    = "aisle"
  region                  = var.region
  redis_version           = "REDIS_7_2"
  tier                    = local.redis_tier
  memory_size_gb          = coalesce(var.redis.memory_gb, local.redis_size.memory_gb)
  connect_mode            = "PRIVATE_SERVICE_ACCESS"
  authorized_network      = google_compute_network.this.id
  reserved_ip_range       = google_compute_global_address.services.name
  auth_enabled            = true
  transit_encryption_mode = "SERVER_AUTHENTICATION"
  deletion_protection     = local.protected

  redis_configs = {
    "maxmemory-policy" = "allkeys-lru"
  }

  maintenance_policy {
    weekly_maintenance_window {
      day = "SUNDAY"

      start_time {
        hours = 5
      }
    }
  }

  depends_on = [google_service_networking_connection.services, google_project_service.api]
}

# The address contains the password, so it is a secret. The provider reads `auth_string` into the state for every
# instance with AUTH (docs/decisions/0018-secrets.md).
resource "google_secret_manager_secret" "redis_url" {
  count = local.redis ? 1 : 0

  secret_id = "aisle-redis-url"

  replication {
    auto {}
  }

  depends_on = [google_project_service.api]
}

resource "google_secret_manager_secret_version" "redis_url" {
  count = local.redis ? 1 : 0

  secret         = google_secret_manager_secret.redis_url[0].id
  secret_data_wo = "rediss://:${google_redis_instance.this[0].auth_string}@${google_redis_instance.this[0].host}:${google_redis_instance.this[0].port}/0"
  # written again when the password or the address changes; eight digits of a hash do not reveal them
  secret_data_wo_version = nonsensitive(substr(sha256("${google_redis_instance.this[0].auth_string}@${google_redis_instance.this[0].host}"), 0, 8))

  lifecycle {
    # an instance that starts in between reads the latest version
    create_before_destroy = true
  }
}

locals {
  # the certificate authorities that may have signed its certificate: two during a rotation
  redis_ca = local.redis ? join("\n", google_redis_instance.this[0].server_ca_certs[*].cert) : ""
}
