"""Paints the slides of the benchmark: tissue of no patient, in the layouts that scanners write."""
