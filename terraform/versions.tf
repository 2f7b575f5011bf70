terraform {
  # for ephemeral resources and write-only arguments
  required_version = ">= 1.11"

  required_providers {
    google = {
      source  = "hashicorp/google"
      version = "~> 8.7"
    }
    archive = {
      source  = "hashicorp/archive"
      version = "~> 2.7"
    }
    random = {
      source  = "hashicorp/random"
      version = "~> 3.7"
    }
    time = {
      source  = "hashicorp/time"
      version = "~> 0.13"
    }
  }

  # docs/runbooks/first-deployment.md creates the bucket: terraform init -backend-config=bucket=...
  backend "gcs" {
    prefix = "aisle"
  }
}

provider "google" {
  project = var.project_id
  region  = var.region
  # The Budget API and a few others reject user credentials without a quota project, to which calls are counted
  user_project_override = true
  billing_project       = var.project_id

  default_labels = {
    application = "aisle"
    environment = var.environment
  }
}
