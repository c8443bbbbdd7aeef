"""page_front.py - a private NGINX with the project's own configuration, and the demo model."""
import os
import shutil
import subprocess
from pathlib import Path

import process
from nginx import Nginx
from ports import hold_port, port_of
from stack import wait_until

CHECKOUT = Path(__file__).resolve().parents[2]
CONNECTIONS = "1024"


class PageFront(Nginx):
    """Serves web/dist and speaks to the workers as nginx/ says; ./quickstart lays the directory out alike."""

    def __init__(self, directory, socket_path):
        self.run = Path(directory)
        for name in ("log", "nginx/tmp"):
            (self.run / name).mkdir(parents=True)
        (self.run / "bakame.sock").symlink_to(socket_path)
        (self.run / "nginx/web").symlink_to(CHECKOUT / "web/dist")
        shutil.copytree(CHECKOUT / "nginx/bakame", self.run / "nginx/bakame")
        super().__init__(self.run / "http", (CHECKOUT / "nginx/bakame.conf.in").read_text())

    def _start(self, server, values):
        # Only root has a user to change from, and its private directories are closed to others.
        filled = {"@USER@": "user root;" if os.getuid() == 0 else "",
                  "@CONNECTIONS@": CONNECTIONS, "@LISTEN@": f"127.0.0.1:{self.port}", "@CORS_ORIGINS@": ""}
        for name, value in filled.items():
            server = server.replace(name, value)
        (self.run / "nginx/bakame.conf").write_text(server)
        with (self.directory / "error.log").open("wb") as errors:
            self.process = subprocess.Popen(
                ["nginx", "-p", "nginx/", "-c", "bakame.conf", "-e", "../log/nginx.log", "-g", "daemon off;"],
                cwd=self.run, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=errors,
                preexec_fn=process.end_with_parent)
        return self._listening()

    @property
    def url(self):
        return f"http://127.0.0.1:{self.port}"


class DemoModel:
    """demo/model.py, as a Stack's model."""
    name = "bakame-demo"

    def __init__(self):
        self.hold = hold_port()
        self.port = port_of(self.hold)
        self.base_url = f"http://127.0.0.1:{self.port}/v1"
        self.process = subprocess.Popen(
            ["/usr/bin/python3", "-B", str(CHECKOUT / "demo/model.py"), "--port", str(self.port)],
            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, preexec_fn=process.end_with_parent)
        wait_until(self._listens, 60, "the demo model")

    def _listens(self):
        table = Path("/proc/net/tcp").read_text()
        return f"0100007F:{self.port:04X} 00000000:0000 0A" in table

    def stop(self):
        process.stop(self.process)
        self.hold.close()
