"""A web server of this machine that plays a publisher."""

import http.server
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import ClassVar


class Publisher(http.server.BaseHTTPRequestHandler):
    """Serves ``files``, parts of them too; with ``breaks_after`` it goes away after so many bytes."""

    files: ClassVar[dict[str, bytes]]
    asked: ClassVar[list[str | None]]
    encodings: ClassVar[list[str | None]]
    address: ClassVar[str]
    breaks_after: ClassVar[int | None] = None
    knows_ranges: ClassVar[bool] = True

    def do_GET(self) -> None:
        content = self.files.get(self.path)
        asked = self.headers.get("Range")
        self.asked.append(asked)
        self.encodings.append(self.headers.get("Accept-Encoding"))
        if content is None:
            self.send_error(404)
            return
        start = int(asked.removeprefix("bytes=").removesuffix("-")) if asked and self.knows_ranges else 0
        if start >= len(content) > 0:
            self.send_error(416)
            return
        self.send_response(206 if start else 200)
        self.send_header("Content-Length", str(len(content) - start))
        self.end_headers()
        self.wfile.write(content[start:][: self.breaks_after])

    def log_message(self, *args: object) -> None:
        pass


@contextmanager
def publish(files: dict[str, bytes]) -> Iterator[type[Publisher]]:
    """Serve files by their paths, and yield what serves them."""

    class Fresh(Publisher):
        pass

    Fresh.files, Fresh.asked, Fresh.encodings = files, [], []
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Fresh)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    Fresh.address = f"http://127.0.0.1:{server.server_port}"
    yield Fresh
    server.shutdown()
    server.server_close()
    thread.join()
