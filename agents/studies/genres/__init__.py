"""Which genre is learnt best, and whether genres can be told apart in what is composed."""
