"""What notebooks, pages and the thesis show: figures, tables, texts. Nothing is trained."""
