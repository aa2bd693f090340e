"""What the server can do; knows no HTTP and no vendor."""
