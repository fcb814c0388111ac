"""A small OpenAI-compatible server of one student, with vLLM's command line, to hold our client and keeper against.

python -m tests.students.tiny_server FOLDER --served-model-name NAME --host HOST --port PORT [--broken HOW]
"""

from __future__ import annotations

import argparse
import json
import sys
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any


class Server(ThreadingHTTPServer):
    """One student, one answer at a time."""

    request_queue_size = 256

    def __init__(self, options: argparse.Namespace) -> None:
        super().__init__((options.host, options.port), Handler)
        self.options = options
        if not options.broken:  # loading takes seconds
            from harness.students.engine import load

            self.student = load(Path(options.folder))
        self.lock = threading.Lock()


class Handler(BaseHTTPRequestHandler):
    server: Server

    def do_GET(self) -> None:
        name = "another" if self.server.options.broken == "name" else self.server.options.served_model_name
        self.say({"object": "list", "data": [{"id": name, "object": "model"}]})

    def do_POST(self) -> None:
        asked = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        if self.server.options.broken == "refuses":
            self.say({"error": {"message": "prompt too long"}}, 400)
        elif self.server.options.broken == "silent":
            self.say({"object": "text_completion", "choices": []})
        elif self.server.options.broken == "echoes":
            choice = {"index": 0, "text": json.dumps(asked), "finish_reason": "length"}
            self.say({"object": "text_completion", "choices": [choice], "usage": {"completion_tokens": 1}})
        else:
            self.say(self.complete(asked))

    def complete(self, asked: dict[str, Any]) -> dict[str, Any]:
        import torch

        from harness.students.decoding import Decoding
        from harness.students.engine import Draw, finish, run

        decoding = Decoding(asked["temperature"], asked["top_p"], asked["max_tokens"], tuple(asked.get("stop", ())))
        draw = Draw(asked["prompt"], asked["max_tokens"], asked["seed"])
        with self.server.lock, torch.inference_mode():
            run(self.server.student, [draw], decoding)
        made = finish(self.server.student, draw, decoding)
        return {
            "object": "text_completion",
            "model": asked["model"],
            "choices": [{"index": 0, "text": made.text, "finish_reason": made.finish_reason}],
            "usage": {"prompt_tokens": made.prompt_tokens, "completion_tokens": made.tokens},
        }

    def say(self, content: dict[str, Any], code: int = 200) -> None:
        body = json.dumps(content).encode()
        self.send_response(code)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:
        return


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("folder")
    for name in ("--served-model-name", "--host", "--broken"):
        parser.add_argument(name, default="")
    parser.add_argument("--port", type=int)
    options = parser.parse_args()
    if options.broken == "dies":
        sys.exit("no GPU here")
    Server(options).serve_forever()


if __name__ == "__main__":
    main()
