"""The only effects: processes, waiting, files, locks, downloads, packaged resources."""
