"""What is spent, written down before it is spent."""
