"""An authority of the test's own, and services that speak HTTPS with its certificates."""

import json
import ssl
import subprocess
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

EC = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes"]


def openssl(*words):
    subprocess.run(["openssl", *map(str, words)], check=True, capture_output=True)


class Authority:
    """`certificate` is the file that others trust; issue() gives certificates."""

    def __init__(self, folder, name="ca"):
        self.folder, self.name = folder, name
        self.certificate, self.key = folder / f"{name}.crt", folder / f"{name}.key"
        openssl("req", "-x509", *EC, "-days", "2", "-subj", f"/CN={name}",
                "-keyout", self.key, "-out", self.certificate)  # fmt: skip

    def issue(self, name, alternative="IP:127.0.0.1,IP:127.0.0.2,DNS:localhost", days=2):
        """(certificate, key) of a server or a client; days=-1: it has expired."""
        certificate, key = self.folder / f"{name}.crt", self.folder / f"{name}.key"
        wish = self.folder / f"{name}.csr"
        openssl("req", "-new", *EC, "-subj", f"/CN={name}", "-keyout", key, "-out", wish,
                "-addext", f"subjectAltName={alternative}")  # fmt: skip
        openssl("x509", "-req", "-in", wish, "-CA", self.certificate, "-CAkey", self.key,
                "-CAcreateserial", "-days", str(days), "-copy_extensions", "copy",
                "-out", certificate)  # fmt: skip
        return certificate, key

    def server(self, name="server", clients=False, newest=None, **more):
        """An ssl context; clients: only those with a certificate of this authority."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(*self.issue(name, **more))
        if newest:
            context.maximum_version = newest
        if clients:
            context.verify_mode = ssl.CERT_REQUIRED
            context.load_verify_locations(self.certificate)
        return context


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    wbufsize = 1 << 16  # an answer is one write

    def answer(self):
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        peer = getattr(self.connection, "getpeercert", dict)() or {}
        names = dict(pair for part in peer.get("subject", ()) for pair in part)
        call = {"path": self.path, "method": self.command, "headers": dict(self.headers),
                "body": body.decode(), "client": names.get("commonName"),
                "connection": self.client_address[1]}  # fmt: skip
        self.server.calls.append(call)
        status, headers = self.server.answer(call)
        said = json.dumps(call).encode()
        self.send_response(status)
        for name, value in {"Content-Type": "application/json", **headers}.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(said)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(said)

    do_GET = do_POST = do_PUT = do_DELETE = do_HEAD = answer

    def log_message(self, *_):
        pass


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 128

    def finish_request(self, request, address):
        try:
            if self.context:
                request.settimeout(20)
                request = self.context.wrap_socket(request, server_side=True)
            super().finish_request(request, address)
        except (OSError, ssl.SSLError):
            pass


class HttpService:
    """A service in a thread. answer(call) gives (status, headers); what was asked is in
    `calls`, and is what it answers: path, method, headers, body, the client certificate's
    name, the connection."""

    def __init__(self, context=None, answer=None, host="127.0.0.1"):
        self.server = _Server((host, 0), _Handler)
        self.server.context, self.server.calls = context, []
        self.server.answer = answer or (lambda call: (200, {}))
        self.port = self.server.server_address[1]
        self.url = f"{'https' if context else 'http'}://{host}:{self.port}"
        threading.Thread(target=self.server.serve_forever, args=(0.05,), daemon=True).start()

    @property
    def calls(self):
        return self.server.calls

    def close(self):
        self.server.shutdown()
        self.server.server_close()
