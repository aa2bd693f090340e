"""From the id of a slide to where it is stored."""
