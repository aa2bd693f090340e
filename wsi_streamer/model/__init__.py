"""Plain frozen data that every part of the package speaks; no input or output here."""
