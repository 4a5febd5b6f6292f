"""What the votes of a listening application say, and what a rating is fitted to."""
