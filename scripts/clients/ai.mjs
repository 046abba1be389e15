// Vercel's ai and LangChain against a server: node ai.mjs http://127.0.0.1:8080/v1
import assert from "node:assert";
import { createOpenAICompatible } from "@ai-sdk/openai-compatible";
import { generateText, streamText } from "ai";
import { OpenAI } from "@langchain/openai";

const baseURL = process.argv[2], apiKey = process.env.ECOSPA_API_KEY || "none";
const { data: [{ id }] } = await (await fetch(baseURL + "/models", { headers: { Authorization: "Bearer " + apiKey } })).json();
const prompt = "Once upon a time";

const provider = createOpenAICompatible({ name: "ecospa", baseURL, apiKey });
const once = await generateText({ model: provider.completionModel(id), prompt, maxOutputTokens: 12, temperature: 0 });
assert.ok(once.text.length > 0);
let streamed = "";
for await (const t of streamText({ model: provider.completionModel(id), prompt, maxOutputTokens: 12, temperature: 0 }).textStream) streamed += t;
assert.equal(streamed, once.text);

const chain = new OpenAI({ model: id, apiKey, configuration: { baseURL }, maxTokens: 12, temperature: 0 });
const said = await chain.invoke(prompt);
assert.ok(said.length > 0);
console.log("ai, langchain: passed with", id);
