"""Model families and what they share: search spaces, windows, feature table, linear baseline."""
