#!/usr/bin/env python3
"""A model hub on loopback that speaks as much of the Hugging Face Hub's API as clients need to fetch a model.

Serves ROOT/<org>/<name>/<files>. *.safetensors are held as Git LFS holds them (named by SHA-256, redirected to storage), other
files as git does. Misbehaves on demand. Appends one line per request to --log. Also for trying other clients:
    tests/testing/hub_server.py --root hub --port 8123   and   HF_ENDPOINT=http://127.0.0.1:8123
"""
import argparse
import hashlib
import http.server
import json
import pathlib
import re
import select
import socket
import ssl
import threading
import time
import urllib.parse

COMMIT = "0123456789abcdef0123456789abcdef01234567"


class Hub:
    def __init__(self, options):
        self.options = options
        self.root = pathlib.Path(options.root)
        self.lock = threading.Lock()
        self.cut = set()
        self.running = 0

    def log(self, line):
        if self.options.log:
            with self.lock, open(self.options.log, "a", encoding="utf-8") as file:
                file.write(line + "\n")

    def names(self, repository):
        folder = self.root / repository
        return sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file())


def is_lfs(name):
    return name.endswith(".safetensors")


def tag_of(name, data):
    if is_lfs(name):
        return hashlib.sha256(data).hexdigest()
    return hashlib.sha1(b"blob %d\0" % len(data) + data).hexdigest()


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    hub = None

    def do_GET(self):
        self.answer()

    def do_CONNECT(self):
        """As a proxy: one tunnel, to loopback whatever the name."""
        self.hub.log(f"CONNECT {self.path}")
        with socket.create_connection(("127.0.0.1", int(self.path.rpartition(":")[2]))) as far:
            self.wfile.write(b"HTTP/1.1 200 Connected\r\n\r\n")
            self.close_connection = True
            pair = {self.connection: far, far: self.connection}
            while ready := select.select(list(pair), [], [], 10)[0]:
                for near in ready:
                    data = near.recv(65536)
                    if not data:
                        return
                    pair[near].sendall(data)

    def do_HEAD(self):
        self.answer()

    def log_message(self, *arguments):
        pass

    def send(self, status, headers=(), body=b""):
        self.send_response(status)
        for name, value in headers:
            self.send_header(name, value)
        if not any(name.lower() == "content-length" for name, _ in headers):
            self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def send_json(self, value):
        self.send(200, [("Content-Type", "application/json")], json.dumps(value).encode())

    def refuse(self, status, code, message):
        self.send(status, [("X-Error-Code", code), ("X-Error-Message", message)])

    def answer(self):
        options = self.hub.options
        path = urllib.parse.unquote(urllib.parse.urlparse(self.path).path)
        token = self.headers.get("Authorization", "")
        self.hub.log(f"{self.command} {self.headers['Host'].split(':')[0]} {path} auth={token or '-'} "
                     f"range={self.headers.get('Range', '-')}")
        if path.startswith("/storage/"):
            return self.send_file(path.removeprefix("/storage/"), [])
        if options.busy > 0:
            options.busy -= 1
            return self.send(options.busy_status, [("Retry-After", str(options.retry_after))])
        if options.token and token != f"Bearer {options.token}":
            return self.refuse(401, "", "Invalid username or password.")
        if options.forbidden and "/resolve/" in path:
            return self.refuse(403, "", "Your token has no access to this repository.")
        if options.gated and "/resolve/" in path:
            return self.refuse(403, "GatedRepo", "Access to this model is restricted.")
        match = re.fullmatch(r"/api/models/([^/]+/[^/]+)/(revision|tree)/([^/]+)(/.*)?", path)
        if match:
            return self.describe(*match.groups()[:3])
        match = re.fullmatch(r"/([^/]+/[^/]+)/resolve/([^/]+)/(.+)", path)
        if match:
            return self.resolve(*match.groups())
        self.refuse(404, "RepoNotFound", "Repository not found")

    def describe(self, repository, what, revision):
        names = self.hub.names(repository)
        if not names:
            return self.refuse(404, "RepoNotFound", "Repository not found")
        if revision not in ("main", COMMIT):
            return self.refuse(404, "RevisionNotFound", f"Invalid rev id: {revision}")
        if what == "tree":
            return self.send_json([self.entry(repository, name) for name in names])
        if self.hub.options.hostile:
            names.append(self.hub.options.hostile)
        self.send_json({"id": repository, "modelId": repository, "sha": COMMIT, "private": False, "tags": [], "downloads": 0,
                        "likes": 0, "siblings": [{"rfilename": name} for name in names]})

    def entry(self, repository, name):
        data = (self.hub.root / repository / name).read_bytes()
        entry = {"type": "file", "path": name, "size": len(data), "oid": tag_of("", data)}
        if is_lfs(name):
            entry["lfs"] = {"oid": tag_of(name, data), "size": len(data), "pointerSize": 134}
        return entry

    def resolve(self, repository, revision, name):
        path = self.hub.root / repository / name
        if not path.is_file():
            return self.refuse(404, "EntryNotFound", "Entry not found")
        data = path.read_bytes()
        about = [("X-Repo-Commit", COMMIT), ("Accept-Ranges", "bytes")]
        if not is_lfs(name):
            return self.send_file(f"{repository}/{name}", about + [("ETag", f'"{tag_of(name, data)}"')])
        port = self.server.server_address[1]
        about += [("X-Linked-Etag", f'"{tag_of(name, data)}"'), ("X-Linked-Size", str(len(data))), ("ETag", '"of-the-pointer"'),
                  ("Location", f"http://localhost:{port}/storage/{repository}/{urllib.parse.quote(name)}")]
        self.send(302, about)

    def send_file(self, path, headers):
        data = (self.hub.root / path).read_bytes()
        if self.hub.options.corrupt and is_lfs(path):
            data = bytes([data[0] ^ 1]) + data[1:]
        first, status = 0, 200
        match = re.fullmatch(r"bytes=(\d+)-(\d*)", self.headers.get("Range", ""))
        if match and self.command == "GET":
            first, status = int(match.group(1)), 206
            if first >= len(data):
                return self.send(416, [("Content-Range", f"bytes */{len(data)}")])
            headers = headers + [("Content-Range", f"bytes {first}-{len(data) - 1}/{len(data)}")]
        body = data[first:]
        self.send_body(status, headers + [("Content-Length", str(len(body)))], body, path)

    def send_body(self, status, headers, body, path):
        hub = self.hub
        if not is_lfs(path) or self.command == "HEAD":
            return self.send(status, headers, body)
        with hub.lock:
            hub.running += 1
            running = hub.running
            cut = hub.options.cut and path not in hub.cut
            hub.cut.add(path)
        hub.log(f"running={running}")
        time.sleep(hub.options.delay)
        if cut:
            self.close_connection = True
            body = body[:hub.options.cut]
        self.send(status, headers, body)
        with hub.lock:
            hub.running -= 1


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--root", required=True)
    parser.add_argument("--port", type=int, default=0)
    parser.add_argument("--port-file", help="gets the bound port")
    parser.add_argument("--log")
    parser.add_argument("--token", help="ask for it")
    parser.add_argument("--gated", action="store_true", help="refuse files with 403")
    parser.add_argument("--forbidden", action="store_true", help="refuse files to the token's owner")
    parser.add_argument("--cut", type=int, default=0, help="end the first download of each large file after so many bytes")
    parser.add_argument("--corrupt", action="store_true", help="change a byte of large files")
    parser.add_argument("--hostile", help="a further name in the listing")
    parser.add_argument("--busy", type=int, default=0, help="answer so many requests with --busy-status")
    parser.add_argument("--busy-status", type=int, default=503)
    parser.add_argument("--retry-after", type=int, default=0, help="seconds, said when busy")
    parser.add_argument("--delay", type=float, default=0, help="seconds before each large file")
    parser.add_argument("--cert", help="PEM certificate: serve https")
    parser.add_argument("--key")
    options = parser.parse_args()
    Handler.hub = Hub(options)
    server = http.server.ThreadingHTTPServer(("127.0.0.1", options.port), Handler)
    if options.cert:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(options.cert, options.key)
        server.socket = context.wrap_socket(server.socket, server_side=True)
    if options.port_file:
        path = pathlib.Path(options.port_file)
        path.with_suffix(".part").write_text(f"{server.server_address[1]}\n", encoding="utf-8")
        path.with_suffix(".part").rename(path)
    server.serve_forever()


if __name__ == "__main__":
    main()
