"""Request and response models of the recommendations function: one module for each resource."""
