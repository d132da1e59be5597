"""A STAC API with its images, on this machine and for one test."""

import json
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any


@contextmanager
def serving(folder: Path, features: Sequence[dict[str, Any]]) -> Iterator[str]:
    """The address of an API that finds these items, and serves the images that lie in the folder."""

    class Served(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.answer()

        def do_HEAD(self) -> None:
            self.answer()

        def do_POST(self) -> None:
            asked = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            self.answer(asked)

        def answer(self, asked: dict[str, Any] | None = None) -> None:
            home = f"http://127.0.0.1:{self.server.server_address[1]}"
            if self.path.startswith("/images/"):
                return self.image(folder / self.path.removeprefix("/images/").partition("?")[0])
            if self.path.startswith("/search"):
                found = json.loads(json.dumps(features))
                for feature in found:
                    for asset in feature["assets"].values():
                        asset["href"] = f"{home}/images/{asset['href']}"
                if asked and asked.get("datetime"):
                    found = found[:2]
                said: dict[str, Any] = {"type": "FeatureCollection", "features": found, "links": []}
            else:
                conforms = ["https://api.stacspec.org/v1.0.0/core", "https://api.stacspec.org/v1.0.0/item-search"]
                links = [{"rel": "search", "href": f"{home}/search", "type": "application/geo+json", "method": "POST"},
                         {"rel": "self", "href": home}, {"rel": "root", "href": home}]  # fmt: skip
                said = {"type": "Catalog", "id": "api", "description": "a test", "stac_version": "1.0.0",
                        "conformsTo": conforms, "links": links}  # fmt: skip
            return self.send(json.dumps(said).encode(), "application/json")

        def image(self, path: Path) -> None:
            if not path.is_file():
                self.send_error(404)
                return
            data, span = path.read_bytes(), self.headers.get("Range")
            if span is None:
                self.send(data, "image/tiff")
                return
            low, _, high = span.removeprefix("bytes=").partition("-")
            part = data[int(low) : int(high or len(data)) + 1]
            self.send_response(206)
            self.send_header("Content-Range", f"bytes {low}-{int(low) + len(part) - 1}/{len(data)}")
            self.send_header("Content-Length", str(len(part)))
            self.end_headers()
            self.wfile.write(part)

        def send(self, data: bytes, kind: str) -> None:
            self.send_response(200)
            self.send_header("Content-Type", kind)
            self.send_header("Accept-Ranges", "bytes")
            self.send_header("Content-Length", str(len(data)))
            self.end_headers()
            if self.command != "HEAD":
                self.wfile.write(data)

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Served)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
