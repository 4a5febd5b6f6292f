"""A web application in which people compare and like pieces, and what their votes say."""
