"""Measurements, each on a fresh stack of its own."""
