# With var.domain, one HTTPS address serves all public functions at the paths in functions.yaml. As in the local
# gateway, a request goes to the longest path that equals its own path or is a parent of it. The function with the path
# / gets whatever no other function serves, and answers it with a problem.

locals {
  balanced = var.domain == null ? {} : { for name, entry in local.entries : name => entry if entry.public && entry.kind == "http" }
  # functions that mark some responses as public; Cloud CDN caches only those
  cached = toset([for name, entry in local.balanced : name if var.cdn && length(setintersection(entry.paths, ["/products", "/recommendations", "/images"])) > 0])
  # shared/http/geo.py reads it
  geo_header = "X-Client-Place"
  # the function that serves the pages
  pages    = one([for name, entry in local.public_functions : name if contains(entry.paths, "/")])
  balancer = toset(var.domain == null ? [] : ["this"])
  # shared/http/edge.py removes these too: advertising networks and mail tools append them to links
  tracking_parameters = [
    "utm_source", "utm_medium", "utm_campaign", "utm_term", "utm_content", "utm_id",
    "gclid", "gbraid", "wbraid", "fbclid", "msclkid", "_ga", "_gl", "_",
  ]
}

resource "google_compute_region_network_endpoint_group" "function" {
  for_each = local.balanced

  name                  = "aisle-${replace(each.key, "_", "-")}"
  region                = var.region
  network_endpoint_type = "SERVERLESS"

  cloud_run {
    service = module.function[each.key].service
  }
}

resource "google_compute_backend_service" "function" {
  for_each = local.balanced

  name                  = "aisle-${replace(each.key, "_", "-")}"
  load_balancing_scheme = "EXTERNAL_MANAGED"
  protocol              = "HTTPS"
  security_policy       = var.armor ? google_compute_security_policy.this["this"].id : null
  enable_cdn            = contains(local.cached, each.key)
  # replaces any header of this name that the client sends
  custom_request_headers = var.geo ? ["${local.geo_header}:{client_city_lat_long}"] : []

  backend {
    group = google_compute_region_network_endpoint_group.function[each.key].id
  }

  dynamic "cdn_policy" {
    for_each = contains(local.cached, each.key) ? [1] : []

    content {
      # follows the function's headers: public responses are cached for their max-age, a user's responses never
      cache_mode         = "USE_ORIGIN_HEADERS"
      serve_while_stale  = 60
      request_coalescing = true

      # the CORS headers depend on the origin of the page
      cache_key_policy {
        include_host         = true
        include_protocol     = true
        include_query_string = true
        # the functions remove these too: tracking parameters, and publishable API keys
        query_string_blacklist = concat(local.tracking_parameters, ["key"])
        include_http_headers   = ["Origin"]
      }

      bypass_cache_on_request_headers {
        header_name = "Authorization"
      }
    }
  }

  log_config {
    enable      = true
    sample_rate = local.prod ? 0.1 : 1
  }
}

resource "google_compute_security_policy" "this" {
  #checkov:skip=CKV_GCP_73:a dynamic block, which is not evaluated, creates the rule cve-canary
  for_each = var.armor ? local.balancer : []

  name        = "aisle"
  description = "Limits rates and refuses known attacks"

  adaptive_protection_config {
    layer_7_ddos_defense_config {
      enable = true
    }
  }

  # the OWASP core rule set, at the sensitivity with the fewest false positives
  dynamic "rule" {
    for_each = {
      sqli-v33-stable             = 1000
      xss-v33-stable              = 1010
      lfi-v33-stable              = 1020
      rfi-v33-stable              = 1030
      rce-v33-stable              = 1040
      scannerdetection-v33-stable = 1050
      protocolattack-v33-stable   = 1060
      sessionfixation-v33-stable  = 1070
      cve-canary                  = 1080 # Log4Shell and similar
    }

    content {
      action   = "deny(403)"
      priority = rule.value

      match {
        expr {
          expression = "evaluatePreconfiguredWaf('${rule.key}', {'sensitivity': 1})"
        }
      }
    }
  }

  # all other requests, up to a rate limit
  rule {
    action   = "throttle"
    priority = 2147483647

    match {
      versioned_expr = "SRC_IPS_V1"

      config {
        src_ip_ranges = ["*"]
      }
    }

    rate_limit_options {
      conform_action = "allow"
      exceed_action  = "deny(429)"
      enforce_on_key = "IP"

      rate_limit_threshold {
        count        = var.requests_per_minute
        interval_sec = 60
      }
    }
  }

  depends_on = [google_project_service.api]
}

resource "google_compute_url_map" "this" {
  for_each = local.balancer

  name            = "aisle"
  default_service = google_compute_backend_service.function[local.pages].id

  host_rule {
    hosts        = [var.domain]
    path_matcher = "aisle"
  }

  path_matcher {
    name            = "aisle"
    default_service = google_compute_backend_service.function[local.pages].id

    dynamic "path_rule" {
      for_each = local.balanced

      content {
        # /api/v1 is an alias of every public route (shared/http/serve.py)
        paths = flatten([
          for path in path_rule.value.paths : path == "/" ? ["/"] : [path, "${path}/*", "/api/v1${path}", "/api/v1${path}/*"]
        ])
        service = google_compute_backend_service.function[path_rule.key].id
      }
    }
  }
}

resource "google_compute_managed_ssl_certificate" "this" {
  for_each = local.balancer

  name = "aisle-${substr(sha256(var.domain), 0, 8)}" # a new domain needs a new certificate

  managed {
    domains = [var.domain]
  }

  lifecycle {
    create_before_destroy = true
  }

  depends_on = [google_project_service.api]
}

resource "google_compute_ssl_policy" "this" {
  for_each = local.balancer

  name            = "aisle"
  profile         = "MODERN"
  min_tls_version = "TLS_1_2"

  depends_on = [google_project_service.api]
}

resource "google_compute_target_https_proxy" "this" {
  for_each = local.balancer

  name             = "aisle"
  url_map          = google_compute_url_map.this[each.key].id
  ssl_certificates = [google_compute_managed_ssl_certificate.this[each.key].id]
  ssl_policy       = google_compute_ssl_policy.this[each.key].id
}

resource "google_compute_global_address" "balancer" {
  for_each = local.balancer

  name = "aisle"

  depends_on = [google_project_service.api]
}

resource "google_compute_global_forwarding_rule" "https" {
  for_each = local.balancer

  name                  = "aisle-https"
  load_balancing_scheme = "EXTERNAL_MANAGED"
  target                = google_compute_target_https_proxy.this[each.key].id
  ip_address            = google_compute_global_address.balancer[each.key].id
  port_range            = "443"
}

# Plain HTTP only redirects to HTTPS
resource "google_compute_url_map" "redirect" {
  for_each = local.balancer

  name = "aisle-redirect"

  default_url_redirect {
    https_redirect = true
    strip_query    = false
  }

  depends_on = [google_project_service.api]
}

resource "google_compute_target_http_proxy" "redirect" {
  for_each = local.balancer

  name    = "aisle-redirect"
  url_map = google_compute_url_map.redirect[each.key].id
}

resource "google_compute_global_forwarding_rule" "http" {
  for_each = local.balancer

  name                  = "aisle-http"
  load_balancing_scheme = "EXTERNAL_MANAGED"
  target                = google_compute_target_http_proxy.redirect[each.key].id
  ip_address            = google_compute_global_address.balancer[each.key].id
  port_range            = "80"
}
