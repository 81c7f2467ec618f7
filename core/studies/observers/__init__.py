"""Simulated observers with known parameters, who see images through a classifier that no other model learns from."""
