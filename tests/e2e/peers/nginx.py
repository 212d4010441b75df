"""A real nginx in front of a notifier, with the shipped configuration."""

import os
import shutil
import ssl
import subprocess

from .process import ROOT, free_port, wait_until

NGINX = shutil.which("nginx") or "/usr/sbin/nginx"
# One process: workers would outlive a master that is killed, and hold its port.
MAIN = """
%(user)s
daemon off;
master_process off;
pid %(folder)s/nginx.pid;
error_log stderr notice;
events { worker_connections 1024; }
http {
    access_log off;
    client_body_temp_path %(folder)s/body;
    proxy_temp_path %(folder)s/proxy;
    fastcgi_temp_path %(folder)s/fastcgi;
    uwsgi_temp_path %(folder)s/uwsgi;
    scgi_temp_path %(folder)s/scgi;
    include %(folder)s/ringback.conf;
}
"""


class Front:
    """nginx with the shipped file; only addresses, the name and the certificate differ."""

    def __init__(self, processes, notifier, upstream=None):
        folder = processes.folder
        self.notifier = notifier
        self.port = free_port()
        self.host = f"localhost:{self.port}"
        self.url = f"https://{self.host}"
        self.certificate = folder / "certificate.pem"
        subprocess.run(
            ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256",
             "-nodes", "-days", "2", "-subj", "/CN=localhost", "-addext",
             "subjectAltName=DNS:localhost", "-keyout", folder / "key.pem",
             "-out", self.certificate],
            check=True, capture_output=True,
        )  # fmt: skip
        text = (ROOT / "config" / "nginx" / "ringback.conf").read_text()
        for shipped, here in {
            "server 127.0.0.1:8080;": f"server {upstream or f'127.0.0.1:{notifier.port}'};",
            "listen 443 ssl": f"listen 127.0.0.1:{self.port} ssl",
            "app.example.com;": "localhost;",
            "/etc/ssl/certs/app.example.com.pem": str(self.certificate),
            "/etc/ssl/private/app.example.com.key": str(folder / "key.pem"),
        }.items():
            assert text.count(shipped) == 1, shipped
            text = text.replace(shipped, here)
        (folder / "ringback.conf").write_text(text)
        user = "user root;" if os.getuid() == 0 else ""
        (folder / "nginx.conf").write_text(MAIN % {"folder": folder, "user": user})
        self.process = processes.start([NGINX, "-p", folder, "-c", folder / "nginx.conf"], "nginx")
        wait_until(lambda: self.get("/nothing/here").returncode == 0, what="nginx")

    def get(self, path, *words):
        """curl over HTTP/2; the body, then the protocol and the status on a last line."""
        return subprocess.run(
            ["curl", "-sS", "--http2", "--cacert", self.certificate, "--max-time", "20",
             "-w", "\n%{http_version} %{http_code}", *words, self.url + path],
            capture_output=True, text=True,
        )  # fmt: skip

    def tls(self):
        return ssl.create_default_context(cafile=self.certificate)
