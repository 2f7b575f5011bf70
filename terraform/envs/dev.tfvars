# Small and replaceable. Only project_id has to be set.
environment = "dev"
