"""Tests of the files of a deployment: their schemas, commands, ports, variables, and the servers that they start."""
