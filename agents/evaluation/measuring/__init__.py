"""What is measured of the pieces of each composer, beside the metrics of single pieces."""
