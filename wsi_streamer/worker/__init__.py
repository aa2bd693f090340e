"""How gunicorn's workers take turns at requests: few switches, and nobody waits in line."""
