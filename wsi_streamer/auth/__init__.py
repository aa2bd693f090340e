"""May this request pass? Knows paths, parameters, secrets and time, and no web framework."""
