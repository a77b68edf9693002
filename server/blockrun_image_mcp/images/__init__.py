"""Saves, converts and shows pictures."""
