"""Stores and downloads pictures."""
