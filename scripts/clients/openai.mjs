// The npm package openai against a server: node openai.mjs http://127.0.0.1:8080/v1
import OpenAI from "openai";
import assert from "node:assert";

const client = new OpenAI({ baseURL: process.argv[2], apiKey: process.env.ECOSPA_API_KEY || "none" });
const { data: [model] } = await client.models.list();
const prompt = "Once upon a time";

const whole = await client.completions.create({ model: model.id, prompt, max_tokens: 24, temperature: 0, logprobs: 2 });
assert.equal(whole.choices[0].finish_reason, "length");
assert.equal(whole.choices[0].logprobs.tokens.length, 24);

let text = "", usage;
for await (const part of await client.completions.create({ model: model.id, prompt, max_tokens: 24, temperature: 0, stream: true, stream_options: { include_usage: true } })) {
  text += part.choices[0]?.text ?? "";
  usage = part.usage ?? usage;
}
assert.equal(text, whole.choices[0].text);
assert.equal(usage.completion_tokens, 24);

const many = await client.completions.create({ model: model.id, prompt: [prompt, "The dog"], n: 2, max_tokens: 8, seed: 7, temperature: 1 });
assert.equal(many.choices.length, 4);

const stopped = await client.completions.create({ model: model.id, prompt, max_tokens: 60, temperature: 0, stop: ["."] });
assert.equal(stopped.choices[0].finish_reason, "stop");
assert.ok(!stopped.choices[0].text.includes("."));

await assert.rejects(client.completions.create({ model: model.id, prompt, max_tokens: 100000 }), (e) => e.status === 400 && e.code === "context_length_exceeded");
await assert.rejects(client.completions.create({ model: model.id, prompt, presence_penalty: 1 }), (e) => e.status === 400 && e.param === "presence_penalty");

const info = await (await fetch(new URL("../tokenizer_info", process.argv[2] + "/"))).json();
const chat = { model: model.id, messages: [{ role: "user", content: prompt }], max_completion_tokens: 8, temperature: 0, logprobs: true, top_logprobs: 2 };
if (info.chat_template) {
  const answer = await client.chat.completions.create(chat);
  assert.equal(answer.choices[0].logprobs.content.length, answer.usage.completion_tokens);
} else {
  await assert.rejects(client.chat.completions.create(chat), (e) => e.status === 400);
}
console.log("openai: passed with", model.id);
