"""The asset checks of what is built, a module a stage."""
