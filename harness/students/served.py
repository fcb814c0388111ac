"""Draws a student's answers from a server of its own environment, such as vLLM: starts it, asks over HTTP, ends it.

Prompts go as token ids, so that the server sees what training saw. A server batches as requests come, so its answers
are not the same bytes in every run, and are kept in the store as they came. It loads no model here.
"""

from __future__ import annotations

import http.client
import json
import shlex
import shutil
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from harness.errors import HarnessError
from harness.students.checkpoint import configured_positions, read_tokenizer
from harness.students.decoding import Decoding, Generation
from harness.students.tokens import encode_prompts

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

NAME = "student"  # of the model, as the server knows it
LOOK_S = 0.1  # between two looks whether it is up
ANSWER_S = 600.0  # longest wait for one answer
IN_FLIGHT = 256  # most requests at a time
NEUTRAL = {"top_k": -1, "min_p": 0.0, "repetition_penalty": 1.0, "presence_penalty": 0.0, "frequency_penalty": 0.0}
"""Said in every request: what is not said, vLLM takes from the model's generation_config.json."""
VERSION_S = 60.0  # longest wait for an interpreter that is asked for a version
TAIL = 1500  # characters of the server's log that an error is told with


class Served:
    """One student behind a server that was started for it. Use it as a context, or call `close`."""

    def __init__(self, folder: Path, command: str, options: str, log: Path, start_s: float) -> None:
        self.tokenizer: PreTrainedTokenizerBase = read_tokenizer(folder)
        self.positions = configured_positions(folder)
        self.command, self.log = command, log
        self.port = free_port()
        words = [*shlex.split(command), str(folder.absolute()), "--served-model-name", NAME]
        words += ["--host", "127.0.0.1", "--port", str(self.port), *shlex.split(options)]
        log.parent.mkdir(parents=True, exist_ok=True)
        with log.open("wb") as stream:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "harness.students.keeper", *words],
                stdin=subprocess.PIPE,
                stdout=stream,
                stderr=stream,
            )
        try:
            self.wait(start_s)
        except BaseException:
            self.close()
            raise

    def __enter__(self) -> Served:
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()

    def close(self) -> None:
        """End the server and wait until it has ended, so that its memory is free again."""
        if self.process.stdin is not None and not self.process.stdin.closed:
            self.process.stdin.close()
        self.process.wait()

    def wait(self, start_s: float) -> None:
        """Return once the server is up and says that it serves the student."""
        until = time.monotonic() + start_s
        while time.monotonic() < until:
            if self.process.poll() is not None:
                raise HarnessError(f"generation.command={self.command}: it ended before it served. {self.told()}")
            try:
                listed = self.get("/v1/models")
            except (OSError, http.client.HTTPException):
                time.sleep(LOOK_S)
                continue
            names = [one.get("id") for one in listed.get("data", [])]
            if NAME not in names:
                raise HarnessError(f"generation.command={self.command}: it serves {names}, not {NAME}.")
            return
        raise HarnessError(
            f"generation.command={self.command}: it did not serve within generation.start_s={start_s:g} s. "
            f"{self.told()}"
        )

    def generate(self, prompts: Sequence[str], decoding: Decoding, seeds: Sequence[int]) -> list[Generation]:
        """Answer prompts, each with its own seed, as many at a time as the server takes."""
        assert len(prompts) == len(seeds), f"{len(prompts)} prompts, {len(seeds)} seeds"
        encoded = encode_prompts(self.tokenizer, prompts)
        with ThreadPoolExecutor(max(1, min(IN_FLIGHT, len(encoded)))) as pool:
            return list(pool.map(self.answer, encoded, seeds, [decoding] * len(encoded)))

    def answer(self, prompt: list[int], seed: int, decoding: Decoding) -> Generation:
        """Answer one prompt."""
        room = min(decoding.max_new_tokens, self.positions - len(prompt))
        if room <= 0:
            return Generation("", "context", 0, len(prompt))
        asked: dict[str, Any] = {
            "model": NAME,
            "prompt": prompt,
            "max_tokens": room,
            "temperature": decoding.temperature,
            "top_p": decoding.top_p,
            "stop": list(decoding.stop) or None,
            "seed": seed % 2**31,
            **NEUTRAL,
        }
        said = self.post("/v1/completions", {name: value for name, value in asked.items() if value is not None})
        try:
            [choice] = said["choices"]
            text, reason, tokens = str(choice["text"]), choice["finish_reason"], int(said["usage"]["completion_tokens"])
        except (KeyError, TypeError, ValueError) as error:
            raise HarnessError(
                f"generation.command={self.command}: an answer without one choice and a count of tokens: "
                f"{json.dumps(said)[:200]}"
            ) from error
        cut = min((place for place in (text.find(stop) for stop in decoding.stop) if place >= 0), default=None)
        stopped = reason == "stop" or cut is not None  # a server may leave the stop string in, or not look for it
        return Generation(text[:cut], "stop" if stopped else "length", tokens, len(prompt))

    def get(self, path: str) -> Any:
        with urllib.request.urlopen(f"http://127.0.0.1:{self.port}{path}", timeout=10) as answer:
            return json.load(answer)

    def post(self, path: str, content: dict[str, Any]) -> Any:
        request = urllib.request.Request(
            f"http://127.0.0.1:{self.port}{path}",
            json.dumps(content).encode(),
            {"Content-Type": "application/json"},
        )
        try:
            with urllib.request.urlopen(request, timeout=ANSWER_S) as answer:
                return json.load(answer)
        except urllib.error.HTTPError as error:
            said = error.read().decode(errors="replace")[:300]
            raise HarnessError(f"generation.command={self.command}: it answered {error.code}: {said}") from error
        except (OSError, http.client.HTTPException, ValueError) as error:
            raise HarnessError(
                f"generation.command={self.command}: a request failed ({type(error).__name__}: {error}). {self.told()}"
            ) from error

    def told(self) -> str:
        """Return the end of the server's log, for an error."""
        return f"The end of {self.log}:\n{self.log.read_text(errors='replace')[-TAIL:]}"


def drawn_by(backend: str, command: str) -> str:
    """Return what draws a student's answers, as rows tell it: the backend, a server's with its version if known."""
    return " ".join(word for word in (backend, server_version(command) if backend == "vllm" else "") if word)


@cache
def server_version(command: str) -> str:
    """Return the version of vLLM in the environment that a command's program runs in; empty where that cannot be told.

    The program is a script whose first line names its interpreter, or the interpreter itself; no server is started.
    """
    path = shutil.which(shlex.split(command)[0])
    if path is None:
        return ""
    with open(path, "rb") as stream:
        first = stream.readline(1024).decode(errors="replace")
    interpreter = first[2:].strip() if first.startswith("#!") else path
    if not Path(interpreter).name.startswith("python"):
        return ""
    ask = [interpreter, "-c", "from importlib import metadata; print(metadata.version('vllm'))"]
    try:
        return subprocess.run(ask, capture_output=True, text=True, timeout=VERSION_S, check=True).stdout.strip()
    except (OSError, subprocess.SubprocessError):
        return ""


def free_port() -> int:
    """Return a port that nobody listens on now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
