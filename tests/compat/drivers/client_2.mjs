// The second generation of the TypeScript SDK, which finds out the protocol era.
import { Client } from "@modelcontextprotocol/client";
import { StdioClientTransport } from "@modelcontextprotocol/client/stdio";
import { serve, server, text } from "./protocol.mjs";

const client = new Client({ name: "compat", version: "1.0.0" }, { versionNegotiation: { mode: "auto" } });
await client.connect(new StdioClientTransport(server.start));
const options = { timeout: server.seconds * 1000 };
const tools = async () => (await client.listTools()).tools.map((tool) => tool.name);
const call = async (name, args) => text((await client.callTool({ name, arguments: args }, options)).content);
await serve(client, tools, call);
