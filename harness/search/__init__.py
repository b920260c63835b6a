"""Searches: Optuna suggests, rows decide."""
