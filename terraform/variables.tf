variable "project_id" {
  description = "Id of the Google Cloud project that holds all resources. Use a separate project for each environment."
  type        = string

  validation {
    condition     = can(regex("^[a-z][a-z0-9-]{4,28}[a-z0-9]$", var.project_id))
    error_message = "project_id must have 6 to 30 lowercase letters, digits and hyphens, start with a letter and not end with a hyphen. Use the project's id, not its name or number."
  }
}

variable "region" {
  description = "Region of all resources."
  type        = string
  default     = "europe-west1"

  validation {
    condition     = can(regex("^[a-z]+-[a-z]+[0-9]+$", var.region))
    error_message = "region must look like europe-west1. Set it to a Google Cloud region, not a zone."
  }
}

variable "environment" {
  description = "dev: small and replaceable; prod: highly available and protected from deletion."
  type        = string
  default     = "dev"

  validation {
    condition     = contains(["dev", "prod"], var.environment)
    error_message = "environment must be \"dev\" or \"prod\"."
  }
}

variable "vpc_egress" {
  description = "How functions reach the private network: connector (Serverless VPC Access) or direct (Direct VPC egress, with no idle cost)."
  type        = string
  default     = "connector"

  validation {
    condition     = contains(["connector", "direct"], var.vpc_egress)
    error_message = "vpc_egress must be \"connector\" or \"direct\"."
  }
}

variable "database" {
  description = "Overrides for the environment's database defaults: tier, high_availability, disk_gb, max_connections."
  type = object({
    tier              = optional(string)
    high_availability = optional(bool)
    disk_gb           = optional(number)
    max_connections   = optional(number)
  })
  default  = {}
  nullable = false

  validation {
    condition     = coalesce(var.database.disk_gb, 10) >= 10 && coalesce(var.database.disk_gb, 10) <= 65536
    error_message = "database.disk_gb must be from 10 to 65536."
  }

  # db-custom-CPUS-MIB: 1 or an even number of vCPUs, at most 96, each with 0.9 to 6.5 GiB in steps of 256 MiB
  validation {
    condition = alltrue([
      for size in [try([for number in regex("^db-custom-([0-9]+)-([0-9]+)$", var.database.tier) : tonumber(number)], null)] :
      size == null ? true : (
        size[0] >= 1 && size[0] <= 96 && (size[0] == 1 || size[0] % 2 == 0) &&
        size[1] % 256 == 0 && size[1] >= max(3840, size[0] * 922) && size[1] <= size[0] * 6656
      )
    ])
    error_message = "database.tier: a custom machine, db-custom-CPUS-MIB, has 1 vCPU or an even number of at most 96, and a multiple of 256 MiB: 3840 at least, and from 0.9 to 6.5 GiB for each vCPU."
  }

  validation {
    condition     = coalesce(var.database.max_connections, 100) >= 25 && coalesce(var.database.max_connections, 100) <= 5000
    error_message = "database.max_connections must be from 25 to 5000. The tier's memory may limit it further."
  }
}

variable "redis" {
  description = "Overrides for the environment's cache defaults: tier, memory_gb. With the tier NONE, there is no Redis, and every response is computed."
  type = object({
    tier      = optional(string)
    memory_gb = optional(number)
  })
  default  = {}
  nullable = false

  validation {
    condition     = contains(["BASIC", "STANDARD_HA", "NONE"], coalesce(var.redis.tier, "BASIC"))
    error_message = "redis.tier must be \"BASIC\", \"STANDARD_HA\" or \"NONE\"."
  }

  validation {
    condition     = coalesce(var.redis.memory_gb, 1) >= 1 && coalesce(var.redis.memory_gb, 1) <= 300
    error_message = "redis.memory_gb must be from 1 to 300."
  }
}

variable "max_instances" {
  description = "Maximum number of instances of each function, where lower than in functions.yaml. Default: 2 in dev, no limit in prod."
  type        = number
  default     = null

  validation {
    condition     = var.max_instances == null ? true : var.max_instances >= 1
    error_message = "max_instances must be at least 1."
  }
}

variable "function_instances" {
  description = "Maximum number of instances of individual functions, in place of those in functions.yaml. ./aisle simulate writes them; max_instances can lower them further."
  type        = map(number)
  default     = {}
  nullable    = false

  validation {
    condition     = alltrue([for name, count in var.function_instances : contains(keys(local.manifest.entries), name) && try(local.manifest.entries[name].kind != "job", false)])
    error_message = "Every key of function_instances must be a function in functions.yaml. Remove unknown names and jobs: a job has one instance."
  }

  validation {
    condition     = alltrue([for name, count in var.function_instances : count >= 1 && count <= 1000 && floor(count) == count])
    error_message = "Every value of function_instances must be a whole number from 1 to 1000. More instances need a higher Cloud Run quota."
  }
}

variable "network_mbps" {
  description = "Peak throughput between functions and the private network, in Mbit/s, which the connector must carry. ./aisle simulate computes it."
  type        = number
  default     = 0

  validation {
    condition     = var.network_mbps >= 0
    error_message = "network_mbps must be at least 0."
  }
}

variable "warm_instances" {
  description = "Number of instances that always run, so that shoppers do not wait for cold starts: of each public function behind the load balancer, or of the function edge."
  type        = number
  default     = 0

  validation {
    condition     = var.warm_instances >= 0 && var.warm_instances <= 10
    error_message = "warm_instances must be from 0 to 10."
  }
}

variable "domain" {
  description = "Domain under which an HTTPS load balancer serves the pages and all public functions. Without a domain, the function edge serves them."
  type        = string
  default     = null

  validation {
    condition     = var.domain == null ? true : can(regex("^([a-z0-9-]+\\.)+[a-z]{2,}$", var.domain))
    error_message = "domain must look like shop.example.com: lowercase, without https:// and without a path."
  }
}

variable "public_access" {
  description = "Who may invoke public functions. iam: anyone, at any address. load_balancer: anyone, but only through the domain. none: only those to whom you grant access."
  type        = string
  default     = "iam"
  nullable    = false

  validation {
    condition     = contains(["iam", "load_balancer", "none"], var.public_access)
    error_message = "public_access must be \"iam\", \"load_balancer\" or \"none\"."
  }

  validation {
    condition     = var.public_access != "load_balancer" || var.domain != null
    error_message = "public_access = \"load_balancer\" needs a domain: without one, there is no load balancer, and nobody could call the functions. Set domain, or public_access = \"iam\"."
  }
}

variable "entry" {
  description = "The single address of all public paths. functions: that of the function edge. load_balancer (recommended): the domain. Default: load_balancer if there is a domain and public_access is not iam, otherwise functions."
  type        = string
  default     = null

  validation {
    condition     = contains(["functions", "load_balancer"], coalesce(var.entry, "functions"))
    error_message = "entry must be \"functions\" or \"load_balancer\"."
  }

  validation {
    condition     = var.entry != "load_balancer" || var.domain != null
    error_message = "entry = \"load_balancer\" needs a domain. Set domain, or entry = \"functions\"."
  }

  validation {
    condition     = var.entry != "load_balancer" || var.public_access != "iam"
    error_message = "entry = \"load_balancer\" needs public_access = \"load_balancer\" (or \"none\"): with \"iam\", the functions still answer at their own addresses. Set both once the domain's certificate is active."
  }

  validation {
    condition     = var.entry != "functions" || var.public_access != "load_balancer"
    error_message = "entry = \"functions\" needs public_access = \"iam\" (or \"none\"): with \"load_balancer\", nobody can reach the function edge. Change one of the two."
  }
}

variable "geo" {
  description = "Whether the load balancer sends the location of the client's city to the functions, for distances in responses (GEO_HEADER)."
  type        = bool
  default     = false
}

variable "cdn" {
  description = "Whether the load balancer caches public reads (Cloud CDN)."
  type        = bool
  default     = true
}

variable "armor" {
  description = "Whether the load balancer enforces rate limits and blocks known attacks (Cloud Armor)."
  type        = bool
  default     = true
}

variable "requests_per_minute" {
  description = "Requests per minute that Cloud Armor allows from one IP address."
  type        = number
  default     = 1200

  validation {
    condition     = var.requests_per_minute >= 60
    error_message = "requests_per_minute must be at least 60: a shop page makes several requests."
  }
}

variable "cors_origins" {
  description = "Origins of storefronts that may call the functions from a browser; * allows any."
  type        = list(string)
  default     = ["*"]

  validation {
    condition     = length(var.cors_origins) > 0
    error_message = "cors_origins must not be empty. List the origins of your storefronts, or set it to [\"*\"] to allow any."
  }
}

variable "identity_issuers" {
  description = "Issuers of the shop's own OpenID Connect tokens. See docs/accounts.md."
  type = list(object({
    issuer   = string
    audience = list(string)
    jwks_url = string
  }))
  default = []
}

variable "trust_shop_ids" {
  description = "Whether one of the shop's own user ids is enough to read and change that user's data. See docs/runbooks/first-deployment.md."
  type        = bool
  default     = false
}

variable "mail" {
  description = "How mail is sent: the settings MAIL_URL and MAIL_FROM, and the name of the existing secret that holds MAIL_PASSWORD. If null, no mail is sent. See docs/runbooks/first-deployment.md."
  type = object({
    url             = string
    from            = string
    password_secret = string
  })
  default = null

  validation {
    condition     = var.mail == null ? true : can(regex("^(smtps?|https)://", var.mail.url))
    error_message = "mail.url must begin with smtp://, smtps:// or https://."
  }

  validation {
    condition     = var.mail == null ? true : can(regex("^[A-Za-z0-9_-]{1,255}$", var.mail.password_secret))
    error_message = "mail.password_secret must be the name of a secret in Secret Manager: 1 to 255 letters, digits, hyphens and underscores. Do not write the password itself."
  }
}

variable "bigquery" {
  description = "Whether a subscription also writes raw events to BigQuery."
  type        = bool
  default     = false
}

variable "similarity_engine" {
  description = "Where the job similarity trains: local, spark (Google's Managed Service for Apache Spark), or auto, which decides by spark_from_pairs. See docs/models.md."
  type        = string
  default     = "local"
  nullable    = false

  validation {
    condition     = contains(["local", "spark", "auto"], var.similarity_engine)
    error_message = "similarity_engine must be \"local\", \"spark\" or \"auto\"."
  }
}

variable "spark_from_pairs" {
  description = "With similarity_engine = auto, the number of user-product pairs from which the job trains on Spark; a product counts as seven."
  type        = number
  default     = 30000000

  validation {
    condition     = var.spark_from_pairs >= 0
    error_message = "spark_from_pairs must be at least 0."
  }
}

variable "spark_max_executors" {
  description = "Maximum number of executors of a batch, each with 4 vCPUs. The region's quota may limit it further."
  type        = number
  default     = 50

  validation {
    condition     = var.spark_max_executors >= 2 && var.spark_max_executors <= 1000
    error_message = "spark_max_executors must be from 2 to 1000. The subnetwork of the executors has addresses for 4,000."
  }
}

variable "spark_image_tag" {
  description = "Tag of the executors' image; if empty, latest. Cloud Build sets it to the commit."
  type        = string
  default     = ""
}

variable "monitoring" {
  description = "Whether to create uptime checks, service-level objectives, alerts and a dashboard."
  type        = bool
  default     = true
}

variable "alert_email" {
  description = "Email address that receives alerts. If null, alerts appear only in the Google Cloud console."
  type        = string
  default     = null
}

variable "billing_account" {
  description = "Billing account, such as 012345-6789AB-CDEF01. If set, a budget for the project sends alerts at 50%, 90% and 100%."
  type        = string
  default     = null

  validation {
    condition     = var.billing_account == null ? true : can(regex("^[0-9A-F]{6}(-[0-9A-F]{6}){2}$", var.billing_account))
    error_message = "billing_account must look like 012345-6789AB-CDEF01. To find yours, run: gcloud billing accounts list"
  }
}

variable "monthly_budget" {
  description = "Monthly budget, in the currency of the billing account."
  type        = number
  default     = 100

  validation {
    condition     = var.monthly_budget > 0
    error_message = "monthly_budget must be greater than 0."
  }
}

variable "repository" {
  description = "GitHub repository that Cloud Build deploys from. Connect it once by hand (docs/runbooks/first-deployment.md)."
  type = object({
    owner  = string
    name   = string
    branch = optional(string, "main")
  })
  default = null
}

variable "state_bucket" {
  description = "Bucket that holds the Terraform state, for Cloud Build. Required with repository."
  type        = string
  default     = null

  validation {
    condition     = var.repository == null || var.state_bucket != null
    error_message = "repository needs state_bucket. Set it to the bucket that holds the Terraform state."
  }
}

variable "operators" {
  description = "IAM members who may run on-demand jobs and connect to the database, each written as user:name@example.com."
  type        = set(string)
  default     = []

  validation {
    condition     = alltrue([for one in var.operators : can(regex("^user:.+@.+$", one))])
    error_message = "Write each operator as user:name@example.com."
  }
}

variable "secrets_generation" {
  description = "Increase by one to regenerate every secret and restart every function with the new values."
  type        = number
  default     = 1

  validation {
    condition     = var.secrets_generation >= 1 && floor(var.secrets_generation) == var.secrets_generation
    error_message = "secrets_generation must be a whole number and at least 1. Increase it by one to regenerate every secret."
  }
}

variable "pinned_sources" {
  description = "Source archives to deploy instead of the current ones, as function => object. A rollback sets them."
  type        = map(string)
  default     = {}
  nullable    = false
}

variable "deletion_protection" {
  description = "Whether the database and the cache are protected from deletion. Default: only in prod."
  type        = bool
  default     = null
}

variable "otlp_endpoint" {
  description = "Where functions send traces and metrics over OTLP/HTTP: https://telemetry.googleapis.com for Cloud Trace and Cloud Monitoring, or your own receiver, which must not require credentials. If null, functions record none."
  type        = string
  default     = null

  validation {
    condition     = var.otlp_endpoint == null ? true : can(regex("^https?://[^/?#@ ]+[^/?# ]$", var.otlp_endpoint))
    error_message = "otlp_endpoint must be an http:// or https:// address without a path. Examples: https://telemetry.googleapis.com, http://collector:4318."
  }
}

variable "trace_share" {
  description = "Share of traces to keep, from 0 to 1."
  type        = number
  default     = 0.05

  validation {
    condition     = var.trace_share >= 0 && var.trace_share <= 1
    error_message = "trace_share must be from 0 to 1."
  }
}
