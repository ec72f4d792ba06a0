"""Targets: arrays and files to train on, and what keeps them in step with the pictures."""
