"""How a score is written: keys, spelling, staves, voices, values, beams. Independent of any file format."""
