# Small and replaceable. project_id is the only thing left to say.
environment = "dev"
