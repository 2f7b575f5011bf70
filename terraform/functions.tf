# Deploys every entry of functions.yaml through one module. Only the job migrate and the functions that mail links are
# singled out by name.

locals {
  prod      = var.environment == "prod"
  protected = coalesce(var.deletion_protection, local.prod)

  root         = abspath("${path.module}/..")
  manifest     = yamldecode(file("${local.root}/functions.yaml"))
  function_tag = "aisle-function"

  instance_limit = coalesce(var.max_instances, local.prod ? 1000 : 2)
  # Database connections per instance. A job uses one each for its lock, its work and its log. In an HTTP function, a
  # route holds at most all but one of them, which leaves one for the other routes (docs/settings.md).
  pool_size = local.prod ? { http = 4, edge = 4, event = 4, job = 3 } : { http = 3, edge = 3, event = 2, job = 3 }

  # An edge stands in for all public functions and gets everything that they need. shared/manifest.py computes the same.
  public_functions = { for name, entry in local.manifest.entries : name => entry if entry.kind == "http" && try(entry.public, false) }
  joined = {
    public      = true
    paths       = distinct(flatten([for entry in values(local.public_functions) : entry.paths]))
    needs       = distinct(flatten([for entry in values(local.public_functions) : entry.needs]))
    publishes   = distinct(flatten([for entry in values(local.public_functions) : try(entry.publishes, [])]))
    environment = merge([for entry in values(local.public_functions) : entry.environment]...)
    secrets     = distinct(flatten([for entry in values(local.public_functions) : entry.secrets]))
  }
  # no edge where the load balancer is the single address
  deployed = {
    for name, entry in local.manifest.entries : name => merge(entry, entry.kind == "edge" ? local.joined : null)
    if entry.kind != "edge" || local.entry == "functions"
  }

  entries = {
    for name, entry in local.deployed : name => {
      kind          = entry.kind
      public        = try(entry.public, false)
      paths         = try(entry.paths, [])
      topic         = try(entry.topic, null)
      filter        = try(entry.filter, "")
      publishes     = try(entry.publishes, [])
      attempts      = try(entry.attempts, null)
      min_backoff_s = try(entry.min_backoff_s, null)
      max_backoff_s = try(entry.max_backoff_s, null)
      schedule      = try(entry.schedule, null)
      heavy         = try(entry.heavy, false)
      needs         = entry.needs
      memory        = entry.memory
      cpu           = entry.cpu
      concurrency   = entry.concurrency
      min_instances = contains(local.warm_kinds, entry.kind) && try(entry.public, false) ? max(entry.min_instances, var.warm_instances) : entry.min_instances
      max_instances = max(1, entry.min_instances, min(try(var.function_instances[name], entry.max_instances), local.instance_limit))
      pool_size     = local.pool_size[entry.kind]
      timeout_s     = entry.timeout_s
      environment   = entry.environment
      secrets       = entry.secrets
    }
  }
  # service account names cannot contain underscores
  accounts = { for name, entry in local.entries : name => "aisle-${replace(name, "_", "-")}" }

  # this job owns the schema; it runs by hand and before new code is deployed (docs/runbooks/upgrade.md)
  migrator = "migrate"

  # this job lets the first admin in with a link; only operators may call it (docs/runbooks/first-deployment.md)
  doorkeeper = "first_admin"

  # functions that mail links to account pages, and the edge, which stands in for them
  mailers = [for name, entry in local.entries : name if contains(["accounts", "admin"], name) || entry.kind == "edge"]

  # The address that is handed out. With a domain and public_access = "iam", the functions answer at both addresses, so
  # that a live shop loses no requests before the domain's certificate is active.
  entry           = coalesce(var.entry, var.domain != null && var.public_access != "iam" ? "load_balancer" : "functions")
  behind_balancer = local.entry == "load_balancer"
  edge            = one([for name, entry in local.manifest.entries : name if entry.kind == "edge"])
  # The base URL of every public path; links and product images begin with it. Cloud Run gives each service this
  # deterministic URL beside one that is known only once the service exists, so the service itself can be told.
  public_url = local.behind_balancer ? "https://${var.domain}" : "https://${local.edge}-${data.google_project.this.number}.${var.region}.run.app"
  # keep warm what shoppers call: the edge where it is deployed, and the functions behind the load balancer
  warm_kinds = var.domain == null ? ["edge"] : ["http", "edge"]

  # An allowlist of the files that a function can import: nothing from local/ or tests/, and web/ only for the function
  # that serves it.
  common = setunion(
    fileset(local.root, "main.py"),
    fileset(local.root, "functions.yaml"),
    fileset(local.root, "shared/**/*.py"),
    fileset(local.root, "shared/**/*.sql"),
    fileset(local.root, "shared/**/*.txt"),
  )
  files = {
    for name, entry in local.entries : name => setunion(
      local.common,
      entry.kind == "job" ? setunion(
        fileset(local.root, "jobs/__init__.py"),
        fileset(local.root, "jobs/${name}.py"),
        entry.heavy ? setunion(
          fileset(local.root, "jobs/data/**/*.py"),
          fileset(local.root, "jobs/models/**/*.py"),
          fileset(local.root, "jobs/offline/**/*.py"),
          fileset(local.root, "jobs/reports/**/*.py"),
          fileset(local.root, "jobs/spark/**/*.py"),
          fileset(local.root, "jobs/tuning/**/*.py"),
        ) : [],
        ) : setunion(
        fileset(local.root, "functions/__init__.py"),
        fileset(local.root, "functions/${name}/**/*.py"),
        entry.kind == "edge" ? setunion([for public in keys(local.public_functions) : fileset(local.root, "functions/${public}/**/*.py")]...) : [],
        contains(entry.paths, "/") ? fileset(local.root, "web/**/*") : [],
      ),
    )
  }
  # archive => its requirements file, which becomes requirements.txt at the root, where the buildpack looks for it
  contents = {
    for name, files in local.files : name => merge(
      { for file in files : file => file },
      { "requirements.txt" = local.entries[name].heavy ? "jobs/requirements.txt" : "requirements.txt" },
    )
  }
  # a hash of names and contents, which does not depend on how the zip is written
  hashes = {
    for name, files in local.contents : name => substr(sha256(join("\n", [
      for inside, file in files : "${inside} ${filesha256("${local.root}/${file}")}"
    ])), 0, 16)
  }
  # a function that is pinned to an earlier archive needs no new one
  made     = { for name, files in local.contents : name => files if !contains(keys(var.pinned_sources), name) }
  archives = { for name, hash in local.hashes : name => "${path.root}/.archives/${name}-${hash}.zip" }
}

data "archive_file" "source" {
  for_each = local.made

  type             = "zip"
  output_path      = local.archives[each.key]
  output_file_mode = "0644"

  dynamic "source" {
    for_each = each.value

    content {
      filename = source.key
      content  = file("${local.root}/${source.value}")
    }
  }
}

resource "google_storage_bucket" "sources" {
  #checkov:skip=CKV_GCP_62:access logs would hold a line per request; the audit log records administration
  name                        = "${var.project_id}-aisle-sources"
  location                    = var.region
  uniform_bucket_level_access = true
  public_access_prevention    = "enforced"
  force_destroy               = !local.prod

  versioning {
    enabled = true
  }

  depends_on = [google_project_service.api]
}

resource "google_storage_bucket_object" "source" {
  for_each = local.made

  bucket = google_storage_bucket.sources.name
  name   = "${each.key}/${local.hashes[each.key]}.zip"
  # not taken from the data source: Terraform would read all archives again for each object
  source       = local.archives[each.key]
  content_type = "application/zip"
  # kept, so that an earlier release can be served again: see var.pinned_sources
  deletion_policy = "ABANDON"

  lifecycle {
    # the name contains the hash of the content; a different zip of the same content is not a change
    ignore_changes = [source, detect_md5hash, source_md5hash]
  }

  depends_on = [data.archive_file.source]
}

# The repository for the images that buildpacks build
resource "google_artifact_registry_repository" "functions" {
  #checkov:skip=CKV_GCP_84:Google's keys encrypt it; customer-managed keys could be lost
  location      = var.region
  repository_id = "aisle-functions"
  format        = "DOCKER"

  cleanup_policies {
    id     = "keep-the-last"
    action = "KEEP"

    most_recent_versions {
      keep_count = 3
    }
  }

  cleanup_policies {
    id     = "delete-the-old"
    action = "DELETE"

    condition {
      older_than = "2592000s" # 30 days
    }
  }

  depends_on = [google_project_service.api]
}

module "function" {
  source   = "./modules/function"
  for_each = local.entries

  name         = each.key
  account      = local.accounts[each.key]
  entry        = each.value
  project_id   = var.project_id
  region       = var.region
  repository   = google_artifact_registry_repository.functions.id
  builder      = google_service_account.builder.id
  source_place = { bucket = google_storage_bucket.sources.name, object = contains(keys(var.pinned_sources), each.key) ? var.pinned_sources[each.key] : google_storage_bucket_object.source[each.key].name }

  # only traffic to private services goes through the network
  network = length(setintersection(each.value.needs, ["postgres", "redis"])) == 0 ? null : {
    direct     = var.vpc_egress == "direct"
    connector  = var.vpc_egress == "connector" ? google_vpc_access_connector.this[0].id : null
    network    = google_compute_network.this.id
    subnetwork = google_compute_subnetwork.functions.id
    tag        = local.function_tag
  }
  # calls from Pub/Sub push and Cloud Scheduler are internal; people call on-demand jobs from outside
  ingress = each.value.public ? (local.behind_balancer ? "ALLOW_INTERNAL_AND_GCLB" : "ALLOW_ALL") : (
    each.value.kind == "job" && each.value.schedule == null ? "ALLOW_ALL" : "ALLOW_INTERNAL_ONLY"
  )
  invokers  = local.invokers[each.key]
  deployers = local.delivers ? { delivery = google_service_account.delivery[0].member } : {}

  environment = merge(
    {
      ENVIRONMENT          = var.environment
      GOOGLE_CLOUD_PROJECT = var.project_id
      SECRETS_GENERATION   = tostring(var.secrets_generation)
      LOG_EXECUTION_ID     = "true"
    },
    contains(["http", "edge"], each.value.kind) ? {
      CORS_ORIGINS     = join(",", var.cors_origins)
      IDENTITY_ISSUERS = jsonencode(var.identity_issuers)
      TRUST_SHOP_IDS   = tostring(var.trust_shop_ids)
      TRUSTED_PROXIES  = local.behind_balancer ? "2" : "1" # Google's front end, and the load balancer
    } : {},
    each.value.kind == "http" && var.domain != null && var.geo ? { GEO_HEADER = local.geo_header } : {},
    var.otlp_endpoint == null ? {} : {
      OTEL_EXPORTER_OTLP_ENDPOINT = var.otlp_endpoint
      OTEL_TRACES_SAMPLER_ARG     = tostring(var.trace_share)
    },
    contains(each.value.needs, "postgres") ? {
      CLOUD_SQL_INSTANCE = google_sql_database_instance.this.connection_name
      DATABASE_NAME      = google_sql_database.this.name
      DATABASE_POOL_SIZE = tostring(each.value.pool_size)
      DATABASE_ROLE      = local.database_roles[each.key]
    } : {},
    contains(each.value.needs, "redis") && local.redis ? { REDIS_CA = local.redis_ca } : {},
    # no server listens there, so every response is computed
    contains(each.value.needs, "redis") && !local.redis ? { REDIS_URL = "redis://127.0.0.1:1/0" } : {},
    contains(local.schedule_readers, each.key) ? { SCHEDULER_LOCATION = var.region } : {},
    contains(each.value.needs, "postgres") ? { PUBLIC_URL = local.public_url } : {},
    contains(keys(local.image_roles), each.key) ? { IMAGE_STORE = "gs://${local.images_bucket}" } : {},
    contains(local.mailers, each.key) && var.mail != null ? {
      MAIL_URL  = var.mail.url
      MAIL_FROM = var.mail.from
    } : {},
    each.key == local.migrator ? {
      DATABASE_OWNERS  = join(",", local.owners)
      DATABASE_JOBS    = join(",", local.jobs)
      DATABASE_WRITERS = join(",", local.writers)
    } : {},
    contains(local.spark_callers, each.key) ? local.spark_settings : {},
    each.value.environment,
  )
  secrets = {
    for setting in concat(
      each.value.secrets,
      contains(each.value.needs, "redis") && local.redis ? ["REDIS_URL"] : [],
      contains(local.mailers, each.key) && var.mail != null ? ["MAIL_PASSWORD"] : [],
    ) : setting => local.secret_ids[setting]
  }

  depends_on = [time_sleep.builder_roles]
}
