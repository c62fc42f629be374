"""What a dataset is and how it is read, checked, prepared, split or simulated."""
