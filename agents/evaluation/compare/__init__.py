"""`toccata compare`: several evaluated runs side by side."""
