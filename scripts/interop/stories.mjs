// Documents and a greedy continuation in llama.cpp itself (node-llama-cpp's prebuilt
// library), against `ecospa eval` and `ecospa generate` on the model that a GGUF file was
// exported from:
//
//   node stories.mjs ECOSPA MODEL DOCUMENTS.jsonl PROMPT [EXPECTED]
//
// Each document is evaluated by itself, behind what the file's add_bos_token asks for and
// with nothing after it, as the model's own files say; the loss is a predicted token. It
// prints one JSON object and exits with 1 when the losses differ by more than 1e-3, the
// tokens in number, or the continuations; or when they do not begin with EXPECTED.
import {execFileSync} from "node:child_process";
import {mkdtempSync, readFileSync, rmSync} from "node:fs";
import {tmpdir} from "node:os";
import {join} from "node:path";
import {getLlama, LlamaLogLevel} from "node-llama-cpp";

const [ecospa, dir, documents, prompt, expected = ""] = process.argv.slice(2);
const count = 64;
const run = (...args) => execFileSync(ecospa, args, {encoding: "utf8", stdio: ["ignore", "pipe", "ignore"]});
const work = mkdtempSync(join(tmpdir(), "stories-")), file = join(work, "m.gguf");
run("export", "--model", dir, "--format", "gguf", "--out", file);
const ours = JSON.parse(run("eval", "--model", dir, "--data", documents, "--json"));
const generated = run("generate", "--model", dir, "--prompt", prompt, "--tokens", String(count), "--temperature", "0").slice(prompt.length);

const llama = await getLlama({gpu: false, build: "never", logLevel: LlamaLogLevel.error});
const model = await llama.loadModel({modelPath: file});
const context = model.trainContextSize;
const ctx = await model.createContext({contextSize: context + 8, batchSize: 512, threads: 1});
const sequence = ctx.getSequence();
const front = model.tokens.shouldPrependBosToken ? [model.tokens.bos] : [];
let nats = 0, predicted = 0;
for (const line of readFileSync(documents, "utf8").split("\n").filter((l) => l.trim() !== "")) {
    const tokens = [...front, ...model.tokenize(JSON.parse(line).text, false)];
    for (let lo = 0; lo < tokens.length - 1; lo += context) {
        const window = tokens.slice(lo, lo + context + 1);
        await sequence.clearHistory();
        const out = await sequence.controlledEvaluate(window.slice(0, -1).map((t) => [t, {generateNext: {logits: true}}]));
        for (let i = 0; i + 1 < window.length; i++) {
            const logits = out[i].next.logits;
            let most = -Infinity, sum = 0;
            for (const x of logits.values())
                most = Math.max(most, x);
            for (const x of logits.values())
                sum += Math.exp(x - most);
            nats += most + Math.log(sum) - logits.get(window[i + 1]);
            predicted++;
        }
    }
}
const loss = nats / predicted;

await sequence.clearHistory();
let feed = [...front, ...model.tokenize(prompt, false)];
const ids = [];
while (ids.length < count) {
    const out = await sequence.controlledEvaluate(feed.map((t, i) => i < feed.length - 1 ? t : [t, {generateNext: {logits: true}}]));
    let best = -1, most = -Infinity;
    for (const [t, x] of out[feed.length - 1].next.logits)
        if (x > most || x === most && t < best)
            [best, most] = [t, x];
    ids.push(best);
    feed = [best];
}
const text = model.detokenize(ids, false, [...front, ...model.tokenize(prompt, false)]);
rmSync(work, {recursive: true});
const same = generated.trimEnd() === text.trimEnd() && text.startsWith(expected);
console.log(JSON.stringify({loss, ecospa_loss: ours.loss, difference: loss - ours.loss, tokens: predicted, ecospa_tokens: ours.tokens, same_continuation: same, text}));
if (!same)
    console.error("ecospa:", JSON.stringify(generated));
process.exit(Math.abs(loss - ours.loss) <= 1e-3 && predicted === ours.tokens && same ? 0 : 1);
