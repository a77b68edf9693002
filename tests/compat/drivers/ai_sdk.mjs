// Vercel's AI SDK, which follows a model that makes one call.
import { createMCPClient } from "@ai-sdk/mcp";
import { Experimental_StdioMCPTransport } from "@ai-sdk/mcp/mcp-stdio";
import { generateText } from "ai";
import { MockLanguageModelV4 } from "ai/test";
import { serve, server } from "./protocol.mjs";

const client = await createMCPClient({ transport: new Experimental_StdioMCPTransport(server.start) });
const tools = await client.tools();
const timeout = { toolMs: server.seconds * 1000 };

async function call(toolName, args) {
  const content = [{ type: "tool-call", toolCallId: "call_1", toolName, input: JSON.stringify(args) }];
  const usage = { inputTokens: {}, outputTokens: {} };
  const answer = { content, usage, finishReason: { unified: "tool-calls" }, warnings: [] };
  const model = new MockLanguageModelV4({ doGenerate: async () => answer });
  const result = await generateText({ model, tools, timeout, prompt: "Make a picture" });
  const results = result.content.filter((part) => part.type !== "tool-call");
  return results.map((part) => String(part.error ?? JSON.stringify(part.output))).join("\n");
}

await serve(client, async () => Object.keys(tools), call);
