"""What a study leaves, written and read: trials, JSON, forecasts, storage, notebook."""
