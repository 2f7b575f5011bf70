variable "name" {
  description = "The name in functions.yaml and in Python."
  type        = string
}

variable "account" {
  description = "The name of its service account."
  type        = string

  validation {
    condition     = can(regex("^[a-z][-a-z0-9]{4,28}[a-z0-9]$", var.account))
    error_message = "A service account's name must have 6 to 30 characters. Shorten the entry's name in functions.yaml."
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
    error_message = "A concurrency above 1 needs at least 1 CPU. Raise cpu, or set concurrency to 1, in functions.yaml."
  }

  validation {
    condition     = var.entry.memory <= 4096 || var.entry.cpu >= 2
    error_message = "More than 4 GiB of memory needs at least 2 CPUs. Raise cpu or lower memory in functions.yaml."
  }

  validation {
    condition     = var.entry.timeout_s <= 3600
    error_message = "timeout_s must be at most 3600 in functions.yaml."
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
  description = "The Artifact Registry repository for its image."
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
  description = "Access to private addresses: through a connector, or directly through a network interface of its own. Null for no access."
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
  description = "The sources from which calls are allowed, checked before IAM."
  type        = string
}

variable "invokers" {
  description = "The IAM members who may call it, by a name for each."
  type        = map(string)
}

variable "deployers" {
  description = "The IAM members who may deploy it, besides the project's owners, by a name for each."
  type        = map(string)
}

variable "environment" {
  description = "The settings, as environment variables."
  type        = map(string)
}

variable "secrets" {
  description = "The settings that are secrets, as setting => secret."
  type        = map(string)
}
