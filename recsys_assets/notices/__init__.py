"""Notices to people and their systems: recalls, rejected days, failed gates and failed builds."""
