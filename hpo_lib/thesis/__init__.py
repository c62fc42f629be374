"""Thesis figures, tables and model cards, drawn from records alone: nothing here trains anything."""
