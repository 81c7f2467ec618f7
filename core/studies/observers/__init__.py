"""Simulated observers: people with known truth, who see through a model that nothing else is trained on."""
