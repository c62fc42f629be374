"""The `hpo` command, one file per group of commands."""
