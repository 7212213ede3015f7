"""Parameterised jupytext notebooks; they import the package and hold no logic."""
