"""The slide formats that are TIFF files inside."""
