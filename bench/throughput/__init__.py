"""Sentinel's throughput against the limit of its parts, both measured in turn in one run."""
