"""Request and response models of the admin function: one module for each resource."""
