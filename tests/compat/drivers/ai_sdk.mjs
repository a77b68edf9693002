// Vercel's AI SDK, which follows a model that makes one call.
import { createMCPClient } from "@ai-sdk/mcp";
import { Experimental_StdioMCPTransport } from "@ai-sdk/mcp/mcp-stdio";
import { generateText } from "ai";
import { MockLanguageModelV4 } from "ai/test";
import { serve, server } from "./protocol.mjs";

const transport = new Experimental_StdioMCPTransport({ command: server.command, args: server.args, env: server.env });
const client = await createMCPClient({ transport });
const tools = await client.tools();

async function call(toolName, args) {
  const content = [{ type: "tool-call", toolCallId: "call_1", toolName, input: JSON.stringify(args) }];
  const usage = { inputTokens: {}, outputTokens: {} };
  const answer = { content, usage, finishReason: { unified: "tool-calls" }, warnings: [] };
  const model = new MockLanguageModelV4({ doGenerate: async () => answer });
  const timeout = { toolMs: server.seconds * 1000 };
  const result = await generateText({ model, tools, timeout, prompt: "Make a picture" });
  const results = result.content.filter((part) => part.type !== "tool-call");
  return results.map((part) => String(part.error ?? JSON.stringify(part.output))).join("\n");
}

await serve({ tools: async () => Object.keys(tools), call, close: () => client.close() });
