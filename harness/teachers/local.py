"""A transformers model on this machine as teacher: texts through the students' engine, and its distributions by name.

It runs in the cell's process, or in one of its own that ends with it (`teacher.process=own`).
"""

from __future__ import annotations

import multiprocessing
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from harness.errors import ConfigError, HarnessError, TeacherError
from harness.store.artifacts import hash_folder
from harness.store.keys import Json
from harness.students.chat import has_template, rendered
from harness.teachers.calls import Call, Finish, Reply
from harness.teachers.model import ModelTeacher
from harness.teachers.room import Room
from harness.teachers.settings import Teaching

if TYPE_CHECKING:
    from multiprocessing.connection import Connection

    from transformers import PreTrainedTokenizerBase

    from harness.students.engine import Loaded

BATCH = 16  # calls generated together
START_S = 600.0  # that loading a model may take in a process of its own


class LocalTeacher(ModelTeacher):
    """A local model; its distributions can be learned as well."""

    @property
    def logits(self) -> str:
        return self.settings.model

    @property
    def capabilities(self) -> frozenset[str]:
        return super().capabilities | {"logits"}


class LocalBackend:
    """Calls to a model of this machine."""

    def __init__(self, settings: Teaching) -> None:
        self.settings = settings
        self.folder = Path(settings.model)
        if not (self.folder / "config.json").is_file():
            raise ConfigError(
                f"teacher=local:{settings.model}: no model there. Expected a folder that save_pretrained wrote; "
                "download a hub model first (`hf download NAME --local-dir FOLDER`)."
            )
        if settings.quantised != "no" and settings.device != "cuda":
            raise ConfigError(
                f"teacher.quantised={settings.quantised}: quantised weights need teacher.device=cuda. Say "
                "teacher.quantised=no."
            )
        if settings.logprobs:
            raise ConfigError(
                "teacher.logprobs=true: a local model answers with texts alone. Recipes that learn from its whole "
                "distributions read them anyway (logits=); leave teacher.logprobs out."
            )
        if settings.style == "chat" and not has_template(self.folder):
            raise ConfigError(
                f"teacher=local:{settings.model}: its tokenizer has no chat template. Say teacher.style=completion."
            )
        self.worker: Worker | None = None
        self.loaded: Loaded | None = None
        self.tokenizer: PreTrainedTokenizerBase | None = None  # to count tokens before the model is loaded
        self.weights = ""  # their hash, taken when it is first needed

    @property
    def identity(self) -> dict[str, Json]:
        """What determines replies beside the call: the weights' content and the number format."""
        settings = self.settings
        self.weights = self.weights or hash_folder(self.folder)
        return {
            "backend": "local",
            "weights": self.weights,
            "style": settings.style,
            "dtype": settings.dtype,
            "device": settings.device,
            "quantised": settings.quantised,
        }

    def send(self, calls: Sequence[Call]) -> Iterator[tuple[int, Reply]]:
        """Yield (position, reply), calls of one temperature in batches; each row has a seed of its own."""
        order = sorted(range(len(calls)), key=lambda one: (shape(calls[one]), len(calls[one].messages[-1][1]), one))
        for start in range(0, len(order), BATCH):
            rows = order[start : start + BATCH]
            while rows:  # a batch holds calls of one shape only
                same = [row for row in rows if shape(calls[row]) == shape(calls[rows[0]])]
                yield from zip(same, self.reply([calls[row] for row in same]), strict=True)
                rows = [row for row in rows if row not in same]

    def reply(self, calls: list[Call]) -> list[Reply]:
        if self.settings.process == "own":
            if self.worker is None:
                self.worker = Worker(self.settings)
            return self.worker.reply(calls)
        if self.loaded is None:
            self.loaded = load(self.settings)
        return replies(self.loaded, calls, chat=self.settings.style == "chat")

    def room(self) -> Room:
        """Return what the model holds; an answer is cut where the room ends, so a call keeps one token for it."""
        from harness.students.checkpoint import configured_positions, read_tokenizer
        from harness.students.tokens import encode_prompts

        def count(call: Call) -> int:
            tokenizer = self.tokenizer or read_tokenizer(self.folder)
            self.tokenizer = tokenizer
            return len(encode_prompts(tokenizer, [prompt_of(tokenizer, call, chat=self.settings.style == "chat")])[0])

        return Room(configured_positions(self.folder), 1, count)

    def committed(self, keys: Sequence[str]) -> None:
        pass

    def close(self) -> None:
        self.loaded = self.tokenizer = None
        if self.worker is not None:
            self.worker.close()
            self.worker = None


def shape(call: Call) -> tuple[float, float, int, tuple[str, ...]]:
    """Return what all calls of a batch must share."""
    return call.temperature, call.top_p, call.max_tokens, call.stop


def load(settings: Teaching) -> Loaded:
    """Load a model as the students' engine does, in the number format that the settings name."""
    from harness.students.engine import load as load_student

    loaded = load_student(Path(settings.model), device=settings.device)
    if settings.dtype == "auto" and settings.quantised == "no":
        return loaded
    import dataclasses

    model: Any
    if settings.quantised == "no":
        import torch

        model = cast("Any", loaded.model).to(getattr(torch, settings.dtype))
    else:
        from transformers import AutoModelForCausalLM, BitsAndBytesConfig

        eight = settings.quantised == "int8"
        how: Any = BitsAndBytesConfig(load_in_8bit=eight, load_in_4bit=not eight)
        model = AutoModelForCausalLM.from_pretrained(
            settings.model, local_files_only=True, quantization_config=how, device_map=settings.device
        ).eval()
    return dataclasses.replace(loaded, model=model)


def replies(loaded: Loaded, calls: Sequence[Call], *, chat: bool) -> list[Reply]:
    """Generate one reply for each call of a batch."""
    from harness.students.decoding import Decoding
    from harness.students.engine import generate

    first = calls[0]
    decoding = Decoding(first.temperature, first.top_p, first.max_tokens, first.stop)
    prompts = [prompt_of(loaded.tokenizer, call, chat=chat) for call in calls]
    found = generate(loaded, prompts, decoding, [call.seed or 0 for call in calls])
    made: list[Reply] = []
    for call, one in zip(calls, found, strict=True):
        if one.finish_reason == "context":
            reason = f"the prompt has {one.prompt_tokens} tokens, the model holds {loaded.positions} with the answer"
            made.append(Reply("", "quarantined", 0, 0, 0, 0.0, call.max_tokens, 1, reason))
        else:
            finish = cast("Finish", one.finish_reason)
            made.append(Reply(one.text, finish, one.prompt_tokens, 0, one.tokens, 0.0, call.max_tokens))
    return made


def prompt_of(tokenizer: PreTrainedTokenizerBase, call: Call, *, chat: bool) -> str:
    """Return the text that a call's messages make."""
    if not chat:
        return "\n\n".join(text for _, text in call.messages)
    return rendered(tokenizer, [{"role": role, "content": text} for role, text in call.messages])


class Worker:
    """A process that holds the model and answers batches of calls; it ends with this one."""

    def __init__(self, settings: Teaching) -> None:
        context = multiprocessing.get_context("spawn")
        self.pipe, theirs = context.Pipe()
        self.process = context.Process(target=work, args=(theirs, settings), daemon=True)
        self.process.start()
        theirs.close()
        if not self.pipe.poll(START_S):
            self.close()
            raise TeacherError(f"teacher=local:{settings.model}: its process was not ready after {START_S:.0f} s.")
        self.demand()

    def reply(self, calls: list[Call]) -> list[Reply]:
        self.pipe.send(calls)
        return self.demand()

    def demand(self) -> list[Reply]:
        try:
            found = self.pipe.recv()
        except EOFError:
            self.process.join(5)
            raise TeacherError(
                f"the local teacher's process ended with code {self.process.exitcode}; out of memory? Run the same "
                "command again, with a smaller model or teacher.dtype=bfloat16."
            ) from None
        if isinstance(found, str):
            raise TeacherError(found)
        return found

    def close(self) -> None:
        self.pipe.close()
        self.process.join(5)
        if self.process.is_alive():
            self.process.kill()
            self.process.join()


def work(pipe: Connection, settings: Teaching) -> None:
    """Answer batches of calls until the other end closes; errors are told as a text."""
    try:
        loaded = load(settings)
        pipe.send([])
        while True:
            pipe.send(replies(loaded, pipe.recv(), chat=settings.style == "chat"))
    except (EOFError, KeyboardInterrupt, BrokenPipeError):
        return
    except HarnessError as err:
        pipe.send(str(err))
