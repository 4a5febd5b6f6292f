"""Preference data: pieces with plays and likes, from the user's own tables and from public datasets."""
