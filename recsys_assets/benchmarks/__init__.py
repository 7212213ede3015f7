"""The benchmarks: each compares in one run and returns one JSON object; all figures are in README.md."""
