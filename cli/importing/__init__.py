"""Bring your own log: `clicklake import` turns the files of another system into landing segments by a mapping file."""
