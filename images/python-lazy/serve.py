#!/usr/bin/env python3
"""A shop's small API. Handlers are found by name: /words/list calls list() of handlers.words."""

import importlib
import signal
import sys
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

# Each is imported by the first request for it.
MODULES = {"words": "handlers.words", "reports": "handlers.reports"}


class Handler(BaseHTTPRequestHandler):
    """Answers with what a handler returns."""

    def do_GET(self):
        """Calls the handler that the path names."""
        parts = self.path.strip("/").split("/")
        try:
            module = importlib.import_module(MODULES[parts[0]])
            body = getattr(module, parts[1])(*parts[2:])
        except KeyError:
            self.send_error(404)
        except Exception as error:
            import traceback

            traceback.print_exc()
            self.send_error(500, str(error))
        else:
            data = body.encode("utf-8")
            self.send_response(200)
            self.send_header("Content-Length", str(len(data)))
            self.end_headers()
            self.wfile.write(data)


def main():
    """Serves until it is told to stop."""
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    ThreadingHTTPServer(("", 8000), Handler).serve_forever()


if __name__ == "__main__":
    main()
