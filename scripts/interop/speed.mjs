// Times llama.cpp (node-llama-cpp's prebuilt library) on a GGUF file:
//
//   node speed.mjs FILE.gguf [ROUNDS]
//
// prefill of 1024 tokens, of which the last one's logits are wanted, and decoding,
// one token at a time behind 64. It prints one line of JSON: medians, tokens a second.
import {getLlama, LlamaLogLevel} from "node-llama-cpp";

const [file, rounds = "5"] = process.argv.slice(2);
const llama = await getLlama({gpu: false, build: "never", logLevel: LlamaLogLevel.error});
const model = await llama.loadModel({modelPath: file});
const ctx = await model.createContext({contextSize: 1280, batchSize: 1024, threads: 2});
const sequence = ctx.getSequence();
const ids = (n, seed) => Array.from({length: n}, (_, i) => 256 + (i * 7919 + seed * 104729) % 200);
const median = (x) => x.sort((a, b) => a - b)[x.length >> 1];

const prefill = [], decode = [];
for (let round = 0; round <= Number(rounds); round++) { // the first warms up
    await sequence.clearHistory();
    const prompt = ids(1024, round);
    let start = performance.now();
    await sequence.evaluateWithoutGeneratingNewTokens(prompt.slice(0, -1));
    const next = sequence.evaluate(prompt.slice(-1), {temperature: 0, yieldEogToken: true});
    await next.next();
    await next.return?.();
    if (round > 0)
        prefill.push(1024 / (performance.now() - start) * 1e3);

    await sequence.clearHistory();
    await sequence.evaluateWithoutGeneratingNewTokens(ids(63, round));
    const count = 32;
    let n = 0;
    for await (const _ of sequence.evaluate(ids(1, round), {temperature: 0, yieldEogToken: true})) {
        if (n++ === 0)
            start = performance.now();
        if (n > count)
            break;
    }
    if (round > 0)
        decode.push(count / (performance.now() - start) * 1e3);
}
console.log(JSON.stringify({prefill_per_s: median(prefill), decode_per_s: median(decode)}));
process.exit(0);
