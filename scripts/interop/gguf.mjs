// Loads a GGUF file in llama.cpp (node-llama-cpp's prebuilt library) and compares
// it with the model that it was exported from:
//
//   node gguf.mjs ECOSPA MODEL FILE.gguf TEXT [BOUND]
//
// tokens of TEXT behind what add_bos_token asks for, perplexity on TEXT in windows as
// `ecospa eval` has them, the greedy continuation of 64 tokens. It prints one JSON object and exits with 1
// when tokens differ, the perplexities differ by more than BOUND (default 0.005 of
// ecospa's) or, with a BOUND of at most 0.005, the continuations differ.
import {execFileSync} from "node:child_process";
import {readFileSync} from "node:fs";
import {getLlama, LlamaLogLevel} from "node-llama-cpp";

const [ecospa, dir, file, textFile, bound = "0.005"] = process.argv.slice(2);
const context = 128, count = 64, prompt = "ROMEO:\nWhat is";
const run = (...args) => execFileSync(ecospa, args, {encoding: "utf8", stdio: ["ignore", "pipe", "ignore"]});

const ours = JSON.parse(run("eval", "--model", dir, "--data", textFile, "--context", String(context), "--json"));
const generated = run("generate", "--model", dir, "--prompt", prompt, "--tokens", String(count), "--temperature", "0");

const llama = await getLlama({gpu: false, build: "never", logLevel: LlamaLogLevel.error});
const model = await llama.loadModel({modelPath: file});
// Keys and values in F32: llama.cpp's own choice, F16, moves logits of these models by some thousandths, more than lies between the two likeliest tokens now and then.
const ctx = await model.createContext({contextSize: context + 64, batchSize: 512, threads: 2, flashAttention: false, experimentalKvCacheKeyType: "F32", experimentalKvCacheValueType: "F32"});
const sequence = ctx.getSequence();

// perplexity: windows of context+1 tokens with stride context.
const front = model.tokens.shouldPrependBosToken ? [model.tokens.bos] : []; // as the file's add_bos_token says
const tokens = [...front, ...model.tokenize(readFileSync(textFile, "utf8"), false)];
let nats = 0, predicted = 0;
for (let lo = 0; lo < tokens.length - 1; lo += context) {
    const window = tokens.slice(lo, Math.min(lo + context + 1, tokens.length));
    await sequence.clearHistory();
    const input = window.slice(0, -1).map((t) => [t, {generateNext: {logits: true}}]);
    const out = await sequence.controlledEvaluate(input);
    for (let i = 0; i + 1 < window.length; i++) {
        const logits = out[i].next.logits;
        let most = -Infinity;
        for (const x of logits.values())
            most = Math.max(most, x);
        let sum = 0;
        for (const x of logits.values())
            sum += Math.exp(x - most);
        nats += most + Math.log(sum) - logits.get(window[i + 1]);
        predicted++;
    }
}
const perplexity = Math.exp(nats / predicted);

// greedy continuation
await sequence.clearHistory();
let feed = [...front, ...model.tokenize(prompt, false)];
const ids = [];
while (ids.length < count) {
    const input = feed.map((t, i) => i < feed.length - 1 ? t : [t, {generateNext: {logits: true}}]);
    const out = await sequence.controlledEvaluate(input);
    let best = -1, most = -Infinity;
    for (const [t, x] of out[feed.length - 1].next.logits)
        if (x > most || x === most && t < best)
            [best, most] = [t, x];
    ids.push(best);
    feed = [best];
}
const text = model.detokenize(ids);
const result = {
    file, architecture: model.fileInfo.metadata.general.architecture, bos: front[0],
    tokens: predicted, ecospa_tokens: ours.tokens,
    perplexity, ecospa_perplexity: ours.perplexity, difference: perplexity / ours.perplexity - 1,
    same_continuation: generated.trimEnd().endsWith(text.trimEnd()),
};
console.log(JSON.stringify(result));
if (!result.same_continuation)
    console.error("llama.cpp:", JSON.stringify(text), "\necospa:", JSON.stringify(generated));
const close = Math.abs(result.difference) <= Number(bound);
process.exit(predicted === ours.tokens && close && (result.same_continuation || Number(bound) > 0.005) ? 0 : 1);
