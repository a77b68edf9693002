"""The clients that are tried, and what each needs."""

from dataclasses import dataclass
from typing import Literal

Era = Literal["modern", "legacy"]


@dataclass(frozen=True)
class Client:
    """One client: `package` is what it is known by, `driver` the file that calls it, none for a host.

    One that `ends_server` after each call cannot be asked for a slow picture again. `option` is for its driver.
    """

    name: str
    package: str
    requirements: tuple[str, ...]
    driver: str = ""
    option: str = ""
    ends_server: bool = False

    @property
    def is_python(self) -> bool:
        """Whether it comes from the Python index, and not from npm's."""
        return self.driver.endswith(".py")


_AGENTS = ("openai-agents>=0.24",)

CLIENTS = (
    Client("mcp-modern", "mcp", ("mcp>=2.3,<3",), "mcp_client.py", "auto"),
    Client("mcp-legacy", "mcp", ("mcp>=2.3,<3",), "mcp_client.py", "legacy"),
    Client("fastmcp", "fastmcp", ("fastmcp>=4.1",), "fastmcp_client.py"),
    Client("openai-agents", "openai-agents", _AGENTS, "openai_agents.py"),
    Client("openai-agents-strict", "openai-agents", _AGENTS, "openai_agents.py", "strict"),
    Client("langchain", "langchain-mcp-adapters", ("langchain-mcp-adapters>=0.3.2", "mcp<2"), "langchain_adapters.py"),
    Client("llama-index", "llama-index-tools-mcp", ("llama-index-tools-mcp>=0.4",), "llama_index_tools.py", "", True),
    Client("autogen", "autogen-ext", ("autogen-ext[mcp]>=0.7", "mcp<2"), "autogen_tools.py", "", True),
    Client("sdk-1", "@modelcontextprotocol/sdk", ("@modelcontextprotocol/sdk@^1.32.0",), "sdk_1.mjs"),
    Client("client-2", "@modelcontextprotocol/client", ("@modelcontextprotocol/client@^2.4.0",), "client_2.mjs"),
    Client("ai-sdk", "ai", ("ai@>=7", "@ai-sdk/mcp@>=2"), "ai_sdk.mjs"),
    Client("claude-code", "@anthropic-ai/claude-code", ("@anthropic-ai/claude-code@^2.1.300",)),
    Client("codex", "@openai/codex", ("@openai/codex@>=0.170",)),
    Client("gemini-cli", "@google/gemini-cli", ("@google/gemini-cli@>=0.60",)),
)
