"""What notebooks show of data, studies and families."""
