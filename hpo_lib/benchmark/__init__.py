"""Final trainings with chosen parameters, scored on the test split."""
