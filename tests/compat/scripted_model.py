"""A model on loopback for hosts: it calls what it is told to, in the streams of three vendors' APIs."""

import json
from collections.abc import Generator, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from itertools import count
from queue import Queue
from threading import Lock, Thread
from typing import Any, ClassVar

Events = Iterator[Mapping[str, Any]]


@dataclass(frozen=True)
class ToolCall:
    """What the model wants called; `namespace` is that of the tool, where it has one."""

    id: str
    name: str
    arguments: Mapping[str, Any]
    namespace: str


class Anthropic:
    """Messages. As of the others: which tools a request offers, the calls' results in it, and a stream of one turn."""

    def tools(self, request: Mapping[str, Any]) -> Mapping[str, str]:
        return {tool["name"]: "" for tool in request.get("tools", [])}

    def results(self, request: Mapping[str, Any]) -> Mapping[str, str]:
        blocks = [block for message in request["messages"] if message["role"] == "user" for block in message["content"]]
        return {block["tool_use_id"]: json.dumps(block) for block in blocks if "tool_use_id" in block}

    def events(self, call: ToolCall | None) -> Events:
        block: dict[str, Any] = {"type": "text", "text": ""}
        delta = {"type": "text_delta", "text": "There is nothing to call."}
        if call:
            block = {"type": "tool_use", "id": call.id, "name": call.name, "input": {}}
            delta = {"type": "input_json_delta", "partial_json": json.dumps(call.arguments)}
        usage = {"input_tokens": 1, "output_tokens": 1}
        message: dict[str, Any] = {"id": "msg_1", "type": "message", "role": "assistant", "content": []}
        yield {"type": "message_start", "message": {**message, "stop_reason": None, "usage": usage}}
        yield {"type": "content_block_start", "index": 0, "content_block": block}
        yield {"type": "content_block_delta", "index": 0, "delta": delta}
        yield {"type": "content_block_stop", "index": 0}
        yield {"type": "message_delta", "delta": {"stop_reason": "tool_use" if call else "end_turn"}, "usage": usage}
        yield {"type": "message_stop"}


class OpenAI:
    """Responses."""

    def tools(self, request: Mapping[str, Any]) -> Mapping[str, str]:
        offered = request.get("tools", [])
        spaces = [tool for tool in offered if tool["type"] == "namespace"]
        functions = {tool["name"]: "" for tool in offered if tool["type"] == "function"}
        return functions | {tool["name"]: space["name"] for space in spaces for tool in space["tools"]}

    def results(self, request: Mapping[str, Any]) -> Mapping[str, str]:
        items = [item for item in request["input"] if item.get("type") == "function_call_output"]
        return {item["call_id"]: json.dumps(item["output"]) for item in items}

    def events(self, call: ToolCall | None) -> Events:
        said = {"type": "output_text", "text": "There is nothing to call."}
        item: dict[str, Any] = {"type": "message", "id": "msg_1", "role": "assistant", "content": [said]}
        if call:
            item = {"type": "function_call", "id": f"fc_{call.id}", "call_id": call.id, "name": call.name}
            item |= {"arguments": json.dumps(call.arguments)}
            item |= {"namespace": call.namespace} if call.namespace else {}
        item["status"] = "completed"
        usage = {"input_tokens": 1, "output_tokens": 1, "total_tokens": 2}
        yield {"type": "response.output_item.done", "output_index": 0, "item": item}
        response = {"id": "resp_1", "object": "response", "status": "completed", "output": [item], "usage": usage}
        yield {"type": "response.completed", "response": response}


class Gemini:
    """Streams of generated content."""

    def tools(self, request: Mapping[str, Any]) -> Mapping[str, str]:
        return {each["name"]: "" for tool in request.get("tools", []) for each in tool.get("functionDeclarations", [])}

    def results(self, request: Mapping[str, Any]) -> Mapping[str, str]:
        parts = [part for content in request["contents"] for part in content["parts"]]
        answers = [part["functionResponse"] for part in parts if "functionResponse" in part]
        return {answer["id"]: json.dumps(answer["response"]) for answer in answers}

    def events(self, call: ToolCall | None) -> Events:
        part: dict[str, Any] = {"text": "There is nothing to call."}
        if call:
            part = {"functionCall": {"id": call.id, "name": call.name, "args": call.arguments}}
        candidate = {"content": {"role": "model", "parts": [part]}, "finishReason": "STOP", "index": 0}
        yield {"candidates": [candidate], "usageMetadata": {"totalTokenCount": 2}, "modelVersion": "scripted"}


Api = Anthropic | OpenAI | Gemini


class ScriptedModel:
    """Calls what it is told to, one call after the other, once a host has offered the tools."""

    def __init__(self, api: Api, origin: str) -> None:
        self.origin = origin
        self._api = api
        self._orders: Queue[tuple[str, Mapping[str, Any]] | None] = Queue()
        self._heard: Queue[Any] = Queue()  # first the tools' names, then what comes of each call
        self._open: ToolCall | None = None
        self._ids = count()
        self._lock = Lock()

    def tools(self) -> list[str]:
        return self._wait()

    def call(self, tool: str, arguments: Mapping[str, Any]) -> str:
        self._orders.put((tool, arguments))
        return self._wait()

    def end(self) -> None:
        self._orders.put(None)

    def fail(self, error: Exception) -> None:
        """Raise an error in whoever waits."""
        self._heard.put(error)

    def stream(self, request: Mapping[str, Any]) -> Events:
        """Answer a request; one that offers no pictures, such as one for a title, is answered in words."""
        offered = self._api.tools(request)
        if not any(name.endswith("generate_image") for name in offered):
            return self._api.events(None)
        with self._lock:
            results = self._api.results(request)
            if self._open is None:
                self._heard.put(list(offered))
            elif self._open.id in results:
                self._heard.put(results[self._open.id])
            else:
                return self._api.events(self._open)  # the same is asked again
            self._open = self._next(offered)
            return self._api.events(self._open)

    def _wait(self) -> Any:
        heard = self._heard.get()
        if isinstance(heard, Exception):
            raise heard
        return heard

    def _next(self, offered: Mapping[str, str]) -> ToolCall | None:
        order = self._orders.get()
        if order is None:
            return None
        tool, arguments = order
        name = next(name for name in offered if name.endswith(tool))
        return ToolCall(f"call_{next(self._ids)}", name, arguments, offered[name])


class _Handler(BaseHTTPRequestHandler):
    model: ClassVar[ScriptedModel]

    def do_POST(self) -> None:
        request = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        if not self.path.partition("?")[0].endswith(("/messages", "/responses", ":streamGenerateContent")):
            self.send_error(404)
            return
        self.send_response(200)
        self.send_header("Content-Type", "text/event-stream")
        self.end_headers()
        for event in self.model.stream(request):
            name = f"event: {event['type']}\n" if "type" in event else ""
            self.wfile.write(f"{name}data: {json.dumps(event)}\n\n".encode())

    def log_message(self, format: str, *args: Any) -> None:
        """Say nothing."""


@contextmanager
def running_model(api: Api) -> Generator[ScriptedModel]:
    """Let a model answer on a port of this machine."""
    with ThreadingHTTPServer(("127.0.0.1", 0), _Handler) as server:
        server.daemon_threads = True
        _Handler.model = ScriptedModel(api, f"http://127.0.0.1:{server.server_port}")
        Thread(target=server.serve_forever, daemon=True).start()
        yield _Handler.model
        server.shutdown()
