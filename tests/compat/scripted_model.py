"""A model on loopback for hosts: it says what it is told to, in the streams of three vendors' APIs."""

import json
from collections.abc import Generator, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from itertools import count
from queue import Queue
from threading import Lock, Thread
from typing import Any, ClassVar, Protocol

Events = Iterator[tuple[str, Mapping[str, Any]]]

_LAST_WORDS = "Here it is."


@dataclass(frozen=True)
class ToolCall:
    """What the model wants called; `namespace` is that of the tool, where an API has them."""

    id: str
    name: str
    arguments: Mapping[str, Any]
    namespace: str = ""


class Api(Protocol):
    """How one vendor's hosts and models talk."""

    def tools(self, request: Mapping[str, Any]) -> Mapping[str, str]:
        """Return the names of the tools that a request offers, each with its namespace."""
        ...

    def results(self, request: Mapping[str, Any]) -> Mapping[str, str]:
        """Return the results of calls that a request tells, by the calls' ids."""
        ...

    def events(self, call: ToolCall | None) -> Events:
        """Return the stream that makes a call, or that ends the conversation."""
        ...


class Anthropic:
    """Messages."""

    def tools(self, request: Mapping[str, Any]) -> Mapping[str, str]:
        """Return the names of the tools."""
        return {tool["name"]: "" for tool in request.get("tools", [])}

    def results(self, request: Mapping[str, Any]) -> Mapping[str, str]:
        """Return the results of calls."""
        blocks = [block for message in request["messages"] for block in message["content"] if isinstance(block, dict)]
        return {block["tool_use_id"]: json.dumps(block) for block in blocks if block["type"] == "tool_result"}

    def events(self, call: ToolCall | None) -> Events:
        """Return a message of one block."""
        message = {"id": "msg_1", "type": "message", "role": "assistant", "model": "scripted", "content": []}
        usage = {"input_tokens": 1, "output_tokens": 1}
        if call is None:
            block: dict[str, Any] = {"type": "text", "text": ""}
            delta = {"type": "text_delta", "text": _LAST_WORDS}
        else:
            block = {"type": "tool_use", "id": call.id, "name": call.name, "input": {}}
            delta = {"type": "input_json_delta", "partial_json": json.dumps(call.arguments)}
        reason = {"stop_reason": "tool_use" if call else "end_turn", "stop_sequence": None}
        yield _typed("message_start", message={**message, "stop_reason": None, "stop_sequence": None, "usage": usage})
        yield _typed("content_block_start", index=0, content_block=block)
        yield _typed("content_block_delta", index=0, delta=delta)
        yield _typed("content_block_stop", index=0)
        yield _typed("message_delta", delta=reason, usage=usage)
        yield _typed("message_stop")


class OpenAI:
    """Responses."""

    def tools(self, request: Mapping[str, Any]) -> Mapping[str, str]:
        """Return the names of the functions, in a namespace or not."""
        offered = request.get("tools", [])
        spaces = [tool for tool in offered if tool["type"] == "namespace"]
        functions = {tool["name"]: "" for tool in offered if tool["type"] == "function"}
        return functions | {tool["name"]: space["name"] for space in spaces for tool in space["tools"]}

    def results(self, request: Mapping[str, Any]) -> Mapping[str, str]:
        """Return the results of calls."""
        items = [item for item in request["input"] if item.get("type") == "function_call_output"]
        return {item["call_id"]: json.dumps(item["output"]) for item in items}

    def events(self, call: ToolCall | None) -> Events:
        """Return a response of one item."""
        if call is None:
            said = {"type": "output_text", "text": _LAST_WORDS, "annotations": []}
            item: dict[str, Any] = {"type": "message", "id": "msg_1", "role": "assistant", "content": [said]}
        else:
            item = {"type": "function_call", "id": f"fc_{call.id}", "call_id": call.id, "name": call.name}
            item |= {"arguments": json.dumps(call.arguments)} | (
                {"namespace": call.namespace} if call.namespace else {}
            )
        item["status"] = "completed"
        usage = {"input_tokens": 1, "output_tokens": 1, "total_tokens": 2}
        response = {"id": "resp_1", "object": "response", "model": "scripted", "output": []}
        yield _typed("response.created", response={**response, "status": "in_progress"})
        yield _typed("response.output_item.added", output_index=0, item=item)
        yield _typed("response.output_item.done", output_index=0, item=item)
        yield _typed(
            "response.completed", response={**response, "status": "completed", "output": [item], "usage": usage}
        )


class Gemini:
    """Streams of generated content."""

    def tools(self, request: Mapping[str, Any]) -> Mapping[str, str]:
        """Return the names of the declared functions."""
        return {each["name"]: "" for tool in request.get("tools", []) for each in tool.get("functionDeclarations", [])}

    def results(self, request: Mapping[str, Any]) -> Mapping[str, str]:
        """Return the results of calls."""
        parts = [part for content in request["contents"] for part in content["parts"] if "functionResponse" in part]
        return {part["functionResponse"]["id"]: json.dumps(part["functionResponse"]["response"]) for part in parts}

    def events(self, call: ToolCall | None) -> Events:
        """Return a candidate of one part."""
        if call is None:
            part: dict[str, Any] = {"text": _LAST_WORDS}
        else:
            part = {"functionCall": {"id": call.id, "name": call.name, "args": call.arguments}}
        candidate = {"content": {"role": "model", "parts": [part]}, "finishReason": "STOP", "index": 0}
        yield "", {"candidates": [candidate], "usageMetadata": {"totalTokenCount": 2}, "modelVersion": "scripted"}


class ScriptedModel:
    """Makes the calls that it is told of, one after the other."""

    def __init__(self, api: Api, origin: str) -> None:
        self.origin = origin
        self.offers: Queue[list[str]] = Queue()
        """The names of the tools, each time that a host offers them."""
        self.answers: Queue[str] = Queue()
        """What became of the calls, in order."""
        self._api = api
        self._orders: Queue[tuple[str, Mapping[str, Any]] | None] = Queue()
        self._open: ToolCall | None = None
        self._ids = count()
        self._lock = Lock()

    def call(self, tool: str, arguments: Mapping[str, Any]) -> None:
        """Make a call next."""
        self._orders.put((tool, arguments))

    def end(self) -> None:
        """End the conversation next."""
        self._orders.put(None)

    def stream(self, request: Mapping[str, Any]) -> Events:
        """Answer a request; one that offers no picture, such as one for a title, is answered in words."""
        offered = self._api.tools(request)
        if not any(name.endswith("generate_image") for name in offered):
            return self._api.events(None)
        with self._lock:
            if self._open is None or self._is_answered(self._open, request):
                self.offers.put(list(offered))
                self._open = self._next(offered)
            return self._api.events(self._open)

    def _is_answered(self, call: ToolCall, request: Mapping[str, Any]) -> bool:
        results = self._api.results(request)
        if call.id in results:
            self.answers.put(results[call.id])
        return call.id in results

    def _next(self, offered: Mapping[str, str]) -> ToolCall | None:
        order = self._orders.get()
        if order is None:
            return None
        tool, arguments = order
        name = next(name for name in offered if name.endswith(tool))
        return ToolCall(f"call_{next(self._ids)}", name, arguments, offered[name])


def _typed(type: str, **more: Any) -> tuple[str, Mapping[str, Any]]:
    return type, {"type": type, **more}


@contextmanager
def running_model(api: Api) -> Generator[ScriptedModel]:
    """Let a model answer on a port of this machine."""
    with ThreadingHTTPServer(("127.0.0.1", 0), _Handler) as server:
        server.daemon_threads = True
        model = ScriptedModel(api, f"http://127.0.0.1:{server.server_port}")
        _Handler.model = model
        Thread(target=server.serve_forever, daemon=True).start()
        yield model
        server.shutdown()


class _Handler(BaseHTTPRequestHandler):
    model: ClassVar[ScriptedModel]

    def do_POST(self) -> None:
        request = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        path = self.path.partition("?")[0]
        if not path.endswith(("/messages", "/responses", ":streamGenerateContent")):
            self.send_error(404)
            return
        self.send_response(200)
        self.send_header("Content-Type", "text/event-stream")
        self.end_headers()
        for name, event in self.model.stream(request):
            kind = f"event: {name}\n" if name else ""
            self.wfile.write(f"{kind}data: {json.dumps(event)}\n\n".encode())

    def do_GET(self) -> None:
        self.send_error(404)

    def log_message(self, format: str, *args: Any) -> None:
        """Say nothing."""
