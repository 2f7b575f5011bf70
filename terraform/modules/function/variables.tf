variable "name" {
  description = "The name in functions.yaml and in Python."
  type        = string
}

variable "account" {
  description = "The name of its service account."
  type        = string

  validation {
    condition     = can(regex("^[a-z][-a-z0-9]{4,28}[a-z0-9]$", var.account))
    error_message = "A service account's name has 6 to 30 characters: shorten the entry's name."
  }
}

variable "entry" {
  description = "The entry of functions.yaml."
  type = object({
    kind          = string
    needs         = list(string)
    memory        = number
    cpu           = number
    concurrency   = number
    min_instances = number
    max_instances = number
    timeout_s     = number
  })

  validation {
    condition     = var.entry.concurrency == 1 || var.entry.cpu >= 1
    error_message = "A concurrency above 1 needs at least 1 CPU."
  }

  validation {
    condition     = var.entry.memory <= 4096 || var.entry.cpu >= 2
    error_message = "More than 4 GiB of memory need at least 2 CPUs."
  }

  validation {
    condition     = var.entry.timeout_s <= 3600
    error_message = "timeout_s must be at most 3600."
  }
}

variable "project_id" {
  description = "The project."
  type        = string
}

variable "region" {
  description = "The region."
  type        = string
}

variable "repository" {
  description = "The Artifact Registry repository of its image."
  type        = string
}

variable "builder" {
  description = "The service account that builds it."
  type        = string
}

variable "source_place" {
  description = "The archive of its source."
  type        = object({ bucket = string, object = string })
}

variable "network" {
  description = "Access to private addresses: through a connector, or directly by an interface of its own. Null: no access."
  type = object({
    direct     = bool
    connector  = optional(string)
    network    = string
    subnetwork = string
    tag        = string
  })
  default = null
}

variable "ingress" {
  description = "The allowed sources of calls, checked before IAM."
  type        = string
}

variable "invokers" {
  description = "The members who may call it, each under a name of ours."
  type        = map(string)
}

variable "deployers" {
  description = "The members who may deploy it, besides owners of the project, each under a name of ours."
  type        = map(string)
}

variable "environment" {
  description = "The settings, as environment variables."
  type        = map(string)
}

variable "secrets" {
  description = "Settings that are secrets: setting => secret."
  type        = map(string)
}
