"""iipsrv, a server in C++ that speaks FastCGI, behind nginx; of Debian's packages."""

import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

from bench.peers.base import Site, program
from bench.places import TILE, Place, SlideShape
from bench.processes import Command, free_port

BINARY = Path("/usr/lib/iipimage-server/iipsrv.fcgi")
# Each process answers one request at a time: nginx shares them out.
NGINX = """daemon off; worker_processes 1; pid {state}/nginx.pid; error_log stderr error;
events {{ worker_connections 256; }}
http {{
    access_log off; keepalive_requests 1000000;
    client_body_temp_path {state}/body; fastcgi_temp_path {state}/fastcgi;
    proxy_temp_path {state}/proxy; uwsgi_temp_path {state}/uwsgi; scgi_temp_path {state}/scgi;
    upstream iipsrv {{ least_conn; {servers} }}
    server {{
        listen 127.0.0.1:{port};
        location / {{
            fastcgi_pass iipsrv;
            fastcgi_param REQUEST_METHOD $request_method;
            fastcgi_param QUERY_STRING $query_string;
            fastcgi_param SERVER_PROTOCOL $server_protocol;
        }}
    }}
}}
"""
# The shell is told to stop by a signal and hands it on.
SCRIPT = """nginx=$1 config=$2 binary=$3; shift 3; pids=
for port; do "$binary" --bind "127.0.0.1:$port" --backlog 256 & pids="$pids $!"; done
"$nginx" -c "$config" & pids="$pids $!"
trap "kill $pids; wait $pids" TERM; wait"""


@dataclass(frozen=True)
class Iipsrv:
    """iipsrv with as many processes as others have workers, and its defaults."""

    name: str = "iipsrv"
    title: str = "iipsrv (C++), local"
    from_s3: bool = False

    def missing(self) -> str:
        """Say which of the two programs is not here."""
        if not BINARY.exists():
            return "apt-get install iipimage-server"
        return "" if program("nginx") else "apt-get install nginx"

    def command(self, site: Site, port: int) -> Command:
        """Return a shell that starts both programs."""
        ports = [free_port() for _ in range(site.workers)]
        servers = " ".join(f"server 127.0.0.1:{one};" for one in ports)
        config = site.state / "nginx.conf"
        config.write_text(NGINX.format(state=site.state, servers=servers, port=port))
        arguments = ["/bin/sh", "-c", SCRIPT, "sh", program("nginx") or "nginx", str(config)]
        environ = {"VERBOSITY": "0", "LOGFILE": "/dev/null", "FILESYSTEM_PREFIX": f"{site.folder}/"}
        return Command([*arguments, str(BINARY), *map(str, ports)], environ, front="nginx")

    def path(self, shape: SlideShape, place: Place) -> str | None:
        """Return the path of a stored JPEG tile; iipsrv makes no levels of them."""
        level = shape.level_of(place.downsample)
        if level is None or shape.is_jpeg2000:
            return None
        # Every page counts as a resolution, the last as 0; tiles are numbered row by row.
        # (seen in what iipsrv 1.1 answers to OBJ=Resolutions)
        resolution = shape.pages - 1 - shape.page_of(level)
        col, row = place.tile(TILE)
        columns = -(-shape.level_size(place.downsample)[0] // TILE)
        return f"/?FIF={shape.name}&JTL={resolution},{row * columns + col}"

    def versions(self) -> dict[str, str]:
        """Return the versions of the packages."""
        names = ("iipimage-server", "nginx")
        query = shutil.which("dpkg-query")
        if not query:
            return dict.fromkeys(names, "unknown")
        done = subprocess.run(
            [query, "-W", "-f", "${Version} ", *names], capture_output=True, text=True, check=False
        )
        return dict(zip(names, done.stdout.split(), strict=False))
