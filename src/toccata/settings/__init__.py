"""Settings of commands and runs: types and ranges, specs of models, names of genres. Imports nothing heavy."""
