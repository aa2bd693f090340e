"""The slide formats that are TIFF files inside; tifffile parses them while they are opened."""
