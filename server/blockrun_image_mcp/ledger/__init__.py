"""Records each purchase before money is spent."""
