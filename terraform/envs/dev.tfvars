# Small and replaceable. Only project_id is required.
environment = "dev"
