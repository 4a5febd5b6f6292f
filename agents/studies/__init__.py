"""Studies: experiments over many composers or genres, resumable, each with one table."""
