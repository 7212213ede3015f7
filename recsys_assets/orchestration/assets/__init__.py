"""The assets, a module a stage. A body loads, calls one plain function and returns metadata."""
