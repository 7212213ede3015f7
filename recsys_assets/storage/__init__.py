"""The ground floor: files, locks, arrays and tables on disk. Nothing here knows what a recommendation is."""
