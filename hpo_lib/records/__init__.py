"""What a study leaves behind, written and read: trials, JSON, forecasts, storage, executed notebook, provenance."""
