// Vectors of texts in llama.cpp (node-llama-cpp's prebuilt library), one a line of JSON:
//
//   node embed.mjs FILE.gguf TEXTS.jsonl
import {readFileSync} from "node:fs";
import {getLlama, LlamaLogLevel} from "node-llama-cpp";

const [file, texts] = process.argv.slice(2);
const llama = await getLlama({gpu: false, build: "never", logLevel: LlamaLogLevel.error});
const model = await llama.loadModel({modelPath: file});
const ctx = await model.createEmbeddingContext({contextSize: 16});
for (const line of readFileSync(texts, "utf8").trim().split("\n"))
    console.log(await ctx.getEmbeddingFor(JSON.parse(line).text).then((e) => JSON.stringify([...e.vector]), () => "[]")); // longer than the context
