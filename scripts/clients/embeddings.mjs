// Vectors of a server beside those of npm's @huggingface/transformers of the same encoder:
//
//   node embeddings.mjs http://127.0.0.1:8080/v1 MODEL TEXTS.jsonl
//
// MODEL has onnx/model.onnx beside its config.json and tokenizer.json (encoder_onnx.py).
import assert from "node:assert";
import { readFileSync } from "node:fs";
import { dirname, basename, resolve } from "node:path";
import { env, pipeline } from "@huggingface/transformers";
import OpenAI from "openai";

const [baseURL, model, file] = process.argv.slice(2);
const texts = readFileSync(file, "utf8").trim().split("\n").map((l) => JSON.parse(l).text);
env.allowRemoteModels = false;
env.localModelPath = dirname(resolve(model));
const embed = await pipeline("feature-extraction", basename(resolve(model)), { dtype: "fp32" });
const want = (await embed(texts, { pooling: "mean", normalize: true })).tolist();
const client = new OpenAI({ baseURL, apiKey: process.env.ECOSPA_API_KEY || "none" });
let worst = 0;
for (const encoding_format of ["float", "base64"]) {
  const got = await client.embeddings.create({ model: "any", input: texts, encoding_format });
  assert.equal(got.data.length, texts.length);
  got.data.forEach(({ embedding }, i) => {
    const v = typeof embedding === "string" ? Array.from(new Float32Array(Uint8Array.from(Buffer.from(embedding, "base64")).buffer)) : embedding;
    assert.equal(v.length, want[i].length);
    v.forEach((x, j) => (worst = Math.max(worst, Math.abs(x - want[i][j]))));
  });
}
assert.ok(worst < 1e-5, `vectors differ by ${worst}`);
console.log(`transformers.js: passed; ${texts.length} vectors differ by at most ${worst.toExponential(1)}`);
