variable "project_id" {
  description = "The project of all resources; use a project for each environment."
  type        = string

  validation {
    condition     = can(regex("^[a-z][a-z0-9-]{4,28}[a-z0-9]$", var.project_id))
    error_message = "project_id must be 6 to 30 lowercase letters, digits and hyphens, start with a letter, and not end with a hyphen."
  }
}

variable "region" {
  description = "The region of all resources."
  type        = string
  default     = "europe-west1"

  validation {
    condition     = can(regex("^[a-z]+-[a-z]+[0-9]+$", var.region))
    error_message = "region must be a Google Cloud region, such as europe-west1."
  }
}

variable "environment" {
  description = "dev: small and replaceable; prod: highly available and protected from deletion."
  type        = string
  default     = "dev"

  validation {
    condition     = contains(["dev", "prod"], var.environment)
    error_message = "environment must be dev or prod."
  }
}

variable "vpc_egress" {
  description = "How functions reach the private network: connector (Serverless VPC Access) or direct (Direct VPC egress, no idle cost)."
  type        = string
  default     = "connector"

  validation {
    condition     = contains(["connector", "direct"], var.vpc_egress)
    error_message = "vpc_egress must be connector or direct."
  }
}

variable "database" {
  description = "Overrides of the environment's database: tier, high_availability, disk_gb, max_connections."
  type = object({
    tier              = optional(string)
    high_availability = optional(bool)
    disk_gb           = optional(number)
    max_connections   = optional(number)
  })
  default  = {}
  nullable = false

  validation {
    condition     = coalesce(var.database.disk_gb, 10) >= 10
    error_message = "database.disk_gb must be at least 10."
  }

  validation {
    condition     = coalesce(var.database.max_connections, 100) >= 25 && coalesce(var.database.max_connections, 100) <= 5000
    error_message = "database.max_connections must be from 25 to 5000; a tier with little memory supports fewer."
  }
}

variable "redis" {
  description = "Overrides of the environment's cache. With the tier NONE there is no Redis, and every answer is computed."
  type = object({
    tier      = optional(string)
    memory_gb = optional(number)
  })
  default  = {}
  nullable = false

  validation {
    condition     = contains(["BASIC", "STANDARD_HA", "NONE"], coalesce(var.redis.tier, "BASIC"))
    error_message = "redis.tier must be BASIC, STANDARD_HA or NONE."
  }

  validation {
    condition     = coalesce(var.redis.memory_gb, 1) >= 1 && coalesce(var.redis.memory_gb, 1) <= 300
    error_message = "redis.memory_gb must be from 1 to 300."
  }
}

variable "max_instances" {
  description = "Upper limit on the instances of each function, if lower than in functions.yaml. Default: 2 in dev, none in prod."
  type        = number
  default     = null

  validation {
    condition     = var.max_instances == null ? true : var.max_instances >= 1
    error_message = "max_instances must be at least 1."
  }
}

variable "function_instances" {
  description = "Upper limits on the instances of single functions, in place of those in functions.yaml: ./aisle simulate writes them. max_instances lowers them further."
  type        = map(number)
  default     = {}
  nullable    = false

  validation {
    condition     = alltrue([for name, count in var.function_instances : contains(keys(local.manifest.entries), name) && try(local.manifest.entries[name].kind != "job", false)])
    error_message = "function_instances may only name functions of functions.yaml, not jobs: a job runs as one instance."
  }

  validation {
    condition     = alltrue([for name, count in var.function_instances : count >= 1 && count <= 1000 && floor(count) == count])
    error_message = "function_instances must be a whole number from 1 to 1000 for each function; more need a higher Cloud Run quota."
  }
}

variable "network_mbps" {
  description = "Throughput in Mbit/s between functions and the private network at the busiest time, which the connector must carry: ./aisle simulate computes it."
  type        = number
  default     = 0

  validation {
    condition     = var.network_mbps >= 0
    error_message = "network_mbps must be at least 0."
  }
}

variable "warm_instances" {
  description = "Instances that always run, so that shoppers do not wait for cold starts: of each public function behind the load balancer, or of the function edge."
  type        = number
  default     = 0

  validation {
    condition     = var.warm_instances >= 0 && var.warm_instances <= 10
    error_message = "warm_instances must be from 0 to 10."
  }
}

variable "domain" {
  description = "With a domain, an HTTPS load balancer serves the pages and all public functions under it. Without one, the function edge does."
  type        = string
  default     = null

  validation {
    condition     = var.domain == null ? true : can(regex("^([a-z0-9-]+\\.)+[a-z]{2,}$", var.domain))
    error_message = "domain must be a host name such as shop.example.com."
  }
}

variable "public_access" {
  description = "Who may invoke public functions. iam: everybody, at any address. load_balancer: everybody, through the domain alone. none: those to whom you grant it."
  type        = string
  default     = "iam"
  nullable    = false

  validation {
    condition     = contains(["iam", "load_balancer", "none"], var.public_access)
    error_message = "public_access must be iam, load_balancer or none."
  }

  validation {
    condition     = var.public_access != "load_balancer" || var.domain != null
    error_message = "public_access = \"load_balancer\" needs a domain: without one there is no load balancer, and nobody could call the functions."
  }
}

variable "entry" {
  description = "The one address of all public paths. functions: that of the function edge. load_balancer (recommended): the domain. Default: the domain, unless public_access is iam."
  type        = string
  default     = null

  validation {
    condition     = contains(["functions", "load_balancer"], coalesce(var.entry, "functions"))
    error_message = "entry must be functions or load_balancer."
  }

  validation {
    condition     = var.entry != "load_balancer" || var.domain != null
    error_message = "entry = \"load_balancer\" needs a domain. Set domain, or entry = \"functions\"."
  }

  validation {
    condition     = var.entry != "load_balancer" || var.public_access != "iam"
    error_message = "entry = \"load_balancer\" needs public_access = \"load_balancer\" (or \"none\"): with \"iam\" the functions still answer at their own addresses. Set both once the domain's certificate is active."
  }

  validation {
    condition     = var.entry != "functions" || var.public_access != "load_balancer"
    error_message = "entry = \"functions\" needs public_access = \"iam\" (or \"none\"): with \"load_balancer\" the function edge answers nobody."
  }
}

variable "geo" {
  description = "Whether the load balancer tells the functions the client's city, for distances in answers (GEO_HEADER)."
  type        = bool
  default     = false
}

variable "cdn" {
  description = "Whether the load balancer caches public reads (Cloud CDN)."
  type        = bool
  default     = true
}

variable "armor" {
  description = "Whether the load balancer limits rates and blocks known attacks (Cloud Armor)."
  type        = bool
  default     = true
}

variable "requests_per_minute" {
  description = "Requests per minute that Cloud Armor allows an address."
  type        = number
  default     = 1200

  validation {
    condition     = var.requests_per_minute >= 60
    error_message = "requests_per_minute must be at least 60: one page of a shop sends several requests."
  }
}

variable "cors_origins" {
  description = "Origins of storefronts that may call the functions from a browser; * for any."
  type        = list(string)
  default     = ["*"]

  validation {
    condition     = length(var.cors_origins) > 0
    error_message = "cors_origins must name an origin, or be *."
  }
}

variable "identity_issuers" {
  description = "Issuers of the shop's own OpenID Connect tokens: docs/accounts.md."
  type = list(object({
    issuer   = string
    audience = list(string)
    jwks_url = string
  }))
  default = []
}

variable "trust_shop_ids" {
  description = "Whether a user id of the shop's own suffices to read and change that user's data: docs/runbooks/first-deployment.md."
  type        = bool
  default     = false
}

variable "mail" {
  description = "How mails are sent: the settings MAIL_URL and MAIL_FROM, and the existing secret with MAIL_PASSWORD: docs/runbooks/first-deployment.md. Without it none is sent."
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
    error_message = "mail.password_secret is the name of a secret in Secret Manager, not the password."
  }
}

variable "bigquery" {
  description = "Whether a subscription also writes raw events to BigQuery."
  type        = bool
  default     = false
}

variable "similarity_engine" {
  description = "Where the job similarity trains: local, spark (Google's Managed Service for Apache Spark), or auto, by spark_from_pairs: docs/models.md."
  type        = string
  default     = "local"
  nullable    = false

  validation {
    condition     = contains(["local", "spark", "auto"], var.similarity_engine)
    error_message = "similarity_engine must be local, spark or auto."
  }
}

variable "spark_from_pairs" {
  description = "With similarity_engine = auto: pairs of a user and a product from which the job trains on Spark."
  type        = number
  default     = 30000000

  validation {
    condition     = var.spark_from_pairs >= 0
    error_message = "spark_from_pairs must be at least 0."
  }
}

variable "spark_max_executors" {
  description = "Executors of a batch at most, of 4 vCPU each; the quota of the region limits them further."
  type        = number
  default     = 50

  validation {
    condition     = var.spark_max_executors >= 2 && var.spark_max_executors <= 1000
    error_message = "spark_max_executors must be from 2 to 1000: their subnetwork has addresses for 4,000."
  }
}

variable "spark_image_tag" {
  description = "Tag of the executors' image; latest if empty. Cloud Build sets it to the commit."
  type        = string
  default     = ""
}

variable "monitoring" {
  description = "Whether to create uptime checks, objectives, alerts and a dashboard."
  type        = bool
  default     = true
}

variable "alert_email" {
  description = "The address that receives alerts. If empty, alerts show in the console only."
  type        = string
  default     = null
}

variable "billing_account" {
  description = "With a billing account (012345-6789AB-CDEF01), a budget of the project warns at 50, 90 and 100 %."
  type        = string
  default     = null

  validation {
    condition     = var.billing_account == null ? true : can(regex("^[0-9A-F]{6}(-[0-9A-F]{6}){2}$", var.billing_account))
    error_message = "billing_account must look like 012345-6789AB-CDEF01. List yours: gcloud billing accounts list"
  }
}

variable "monthly_budget" {
  description = "The budget, in the currency of the billing account."
  type        = number
  default     = 100

  validation {
    condition     = var.monthly_budget > 0
    error_message = "monthly_budget must be greater than 0."
  }
}

variable "repository" {
  description = "The GitHub repository that Cloud Build deploys from. Connect it once by hand (docs/runbooks/first-deployment.md)."
  type = object({
    owner  = string
    name   = string
    branch = optional(string, "main")
  })
  default = null
}

variable "state_bucket" {
  description = "The bucket of the Terraform state, for Cloud Build; required with repository."
  type        = string
  default     = null

  validation {
    condition     = var.repository == null || var.state_bucket != null
    error_message = "With repository, set state_bucket to the bucket of the Terraform state."
  }
}

variable "operators" {
  description = "Members who may run on-demand jobs and open the database, written user:name@example.com."
  type        = set(string)
  default     = []

  validation {
    condition     = alltrue([for one in var.operators : can(regex("^user:.+@.+$", one))])
    error_message = "Each of operators must be written user:name@example.com."
  }
}

variable "secrets_generation" {
  description = "Raise it by one to generate every secret anew and restart every function with it."
  type        = number
  default     = 1

  validation {
    condition     = var.secrets_generation >= 1 && floor(var.secrets_generation) == var.secrets_generation
    error_message = "secrets_generation must be a whole number, at least 1."
  }
}

variable "pinned_sources" {
  description = "Archives to serve functions from instead of the current ones: function => object. A rollback sets it."
  type        = map(string)
  default     = {}
  nullable    = false
}

variable "deletion_protection" {
  description = "Whether the database and the cache are protected from deletion; by default in prod."
  type        = bool
  default     = null
}

variable "otlp_endpoint" {
  description = "Where functions send traces and metrics, by OTLP over HTTP: https://telemetry.googleapis.com for Cloud Trace and Cloud Monitoring, or a receiver of yours that needs no credential. Without it they record none."
  type        = string
  default     = null

  validation {
    condition     = var.otlp_endpoint == null ? true : can(regex("^https?://[^/?#@ ]+[^/?# ]$", var.otlp_endpoint))
    error_message = "otlp_endpoint must be a URL without a path, such as https://telemetry.googleapis.com or http://collector:4318."
  }
}

variable "trace_share" {
  description = "Share of the traces that are kept, 0 to 1."
  type        = number
  default     = 0.05

  validation {
    condition     = var.trace_share >= 0 && var.trace_share <= 1
    error_message = "trace_share must be from 0 to 1."
  }
}
