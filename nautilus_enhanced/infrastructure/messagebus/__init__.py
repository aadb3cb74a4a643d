"""The bus, for a trading node and for any other Python process."""
