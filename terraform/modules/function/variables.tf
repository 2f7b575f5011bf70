variable "name" {
  description = "The entry's name in functions.yaml, and the function's in Python."
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
  description = "What functions.yaml says of it."
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
    error_message = "Cloud Run serves several requests at once only with a whole CPU."
  }

  validation {
    condition     = var.entry.memory <= 4096 || var.entry.cpu >= 2
    error_message = "More than 4 GiB need two CPUs."
  }

  validation {
    condition     = var.entry.timeout_s <= 3600
    error_message = "A function runs for an hour at most."
  }
}

variable "project_id" {
  description = "The project."
  type        = string
}

variable "region" {
  description = "Where it runs."
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
  description = "Its archive."
  type        = object({ bucket = string, object = string })
}

variable "network" {
  description = "How it reaches private addresses: by a connector, or where that is null by an interface of its own. Null: not at all."
  type = object({
    connector  = optional(string)
    network    = string
    subnetwork = string
    tag        = string
  })
  default = null
}

variable "ingress" {
  description = "From where it may be called, before IAM is asked."
  type        = string
}

variable "invokers" {
  description = "Who may call it: a name of ours for each member."
  type        = map(string)
}

variable "environment" {
  description = "Its settings."
  type        = map(string)
}

variable "secrets" {
  description = "Settings that are secrets: setting => secret."
  type        = map(string)
}
