"""Tests of the plan of a build."""
