"""Decisions: pure functions from values to values. No clock, no chance, no I/O, no Ray."""
