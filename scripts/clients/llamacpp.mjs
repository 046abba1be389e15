// llama.cpp under the load of scripts/clients/load, through node-llama-cpp's prebuilt library:
//
//   node llamacpp.mjs FILE.gguf CLIENTS SECONDS WORDS TOKENS
//
// Every client has a sequence of one context, as a slot of llama.cpp's server has, and lets it
// go on with one prompt after the other, greedily. There is no HTTP between. It prints a row
// of load's table.
import { getLlama, LlamaLogLevel } from "node-llama-cpp";

const [file, ...numbers] = process.argv.slice(2);
const [clients, seconds, words, tokens] = numbers.map(Number);
const llama = await getLlama({ gpu: false, build: "never", logLevel: LlamaLogLevel.error, maxThreads: 2 });
const model = await llama.loadModel({ modelPath: file });
const context = await model.createContext({ sequences: clients, contextSize: 256, batchSize: 512, threads: 2 });
const sequences = Array.from({ length: clients }, () => context.getSequence());

const all = "the small fox who lived by the river was her best friend and one day she found a red key then the old bear took it to the mill where it was raining so he put the golden lamp in a box and went home with the mouse".split(" ");
const prompt = (number) => Array.from({ length: words }, () => all[(number = (number * 1103515245 + 12345) % 2147483648) % all.length]).join(" ");

const first = [];
let made = 0, requests = 0;
const begun = performance.now();
await Promise.all(sequences.map(async (sequence, client) => {
  for (let i = 0; performance.now() - begun < seconds * 1000; i++) {
    const start = performance.now();
    await sequence.clearHistory();
    let n = 0;
    for await (const _ of sequence.evaluate(model.tokenize(prompt(client * 65536 + i + 1)), { temperature: 0, yieldEogToken: true })) {
      if (n++ === 0) first.push(performance.now() - start);
      if (n === tokens) break;
    }
    made += n;
    requests++;
  }
}));
const took = (performance.now() - begun) / 1000;
first.sort((a, b) => a - b);
const at = (q) => first[Math.min(first.length - 1, Math.floor(q * first.length))].toFixed(0);
console.log(`| llama.cpp | ${clients} | ${requests} | ${(made / took).toFixed(0)} | ${at(0.5)} ms | ${at(0.99)} ms |`);
process.exit(0);
