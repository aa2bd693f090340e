"""Write the settings into README.md and deploy/wsi-streamer.env: `make docs`."""

from dataclasses import fields
from pathlib import Path

from wsi_streamer.settings import Settings, env_name, flag_name

ROOT = Path(__file__).resolve().parent.parent
BEGIN, END = "<!-- settings -->\n", "<!-- /settings -->"
# What the shipped deployment sets differently from the bare command, and why.
DEPLOYED = {
    "source": ("s3://my-slides", "where the slides lie: change this"),
    "host": ("127.0.0.1", "nginx stands in front"),
    "auth_enabled": ("true", "patient data"),
    "view_access": ("signed", "names of slides are no secrets"),
    "cors_origins": ("https://slides.example.org", "a closed list: change this"),
}


def default_of(name: str) -> str:
    """Return a setting's default as people read it."""
    item = next(item for item in fields(Settings) if item.name == name)
    shown = item.metadata["shown"] or item.default
    return str(shown).lower() if isinstance(shown, bool) else str(shown)


def readme_table() -> str:
    """Return the settings as a Markdown table."""
    rows = ["| Option | Variable | Default | Meaning |", "|---|---|---|---|"]
    for item in fields(Settings):
        flag = flag_name(item.name)
        meaning = item.metadata["help"].replace("|", "\\|")
        rows.append(f"| `{flag}` | `{env_name(item.name)}` | {default_of(item.name)} | {meaning} |")
    return "\n".join(rows) + "\n"


def env_file() -> str:
    """Return every setting as a file of variables; those at their default are commented out."""
    lines = ["# /etc/wsi-streamer/wsi-streamer.env: every setting, defaults commented out.", ""]
    for item in fields(Settings):
        lines.append(f"# {item.metadata['help']}. Default: {default_of(item.name)}")
        if item.name in DEPLOYED:
            value, reason = DEPLOYED[item.name]
            lines += [f"# Here: {reason}.", f"{env_name(item.name)}={value}", ""]
        else:
            lines += [f"#{env_name(item.name)}=", ""]
    return "\n".join(lines)


def readme_with_table() -> str:
    """Return the README with the present table in it."""
    before, _, rest = (ROOT / "README.md").read_text().partition(BEGIN)
    _, _, after = rest.partition(END)
    return before + BEGIN + readme_table() + END + after


if __name__ == "__main__":
    (ROOT / "README.md").write_text(readme_with_table())
    (ROOT / "deploy" / "wsi-streamer.env").write_text(env_file())
