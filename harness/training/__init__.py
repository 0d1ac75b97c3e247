"""Recipes that make the built-in models: `train(recipe, overrides, output)`."""
