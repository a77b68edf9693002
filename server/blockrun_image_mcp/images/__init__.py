"""Where pictures are kept that come as data."""
