"""report.html of an evaluation: pieces, table, judges, training curves and provenance in one file without requests."""
