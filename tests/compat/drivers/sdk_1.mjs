// The first generation of the TypeScript SDK.
import { Client } from "@modelcontextprotocol/sdk/client/index.js";
import { StdioClientTransport } from "@modelcontextprotocol/sdk/client/stdio.js";
import { serve, server, text } from "./protocol.mjs";

const client = new Client({ name: "compat", version: "1.0.0" });
await client.connect(new StdioClientTransport(server.start));
const options = { timeout: server.seconds * 1000 };
const tools = async () => (await client.listTools()).tools.map((tool) => tool.name);
const call = async (name, args) => text((await client.callTool({ name, arguments: args }, undefined, options)).content);
await serve(client, tools, call);
