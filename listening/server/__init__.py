"""The HTTP side of the listening application: what browsers ask, and who may ask."""
