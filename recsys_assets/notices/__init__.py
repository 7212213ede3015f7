"""Notices to people and their systems: recalls, replays, rejected days, failed gates and failed builds."""
