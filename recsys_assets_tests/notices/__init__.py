"""Tests of notices, with real servers on this machine."""
