// The loss of the first COUNT tokens of a text in llama.cpp (node-llama-cpp's prebuilt
// library) from a GGUF file, against `ecospa eval` on the same file:
//
//   node full_sizes.mjs ECOSPA FILE.gguf TEXT COUNT
//
// Prints one JSON object; exits with 1 when the losses differ by more than 0.005 nats: llama.cpp
// rounds activations to eight bits and keys and values to sixteen, eval neither (1.2e-3 measured).
import {execFileSync} from "node:child_process";
import {readFileSync} from "node:fs";
import {getLlama, LlamaLogLevel} from "node-llama-cpp";

const [ecospa, file, text, count] = process.argv.slice(2);
const ours = JSON.parse(execFileSync(ecospa, ["eval", "--model", file, "--data", text, "--context", count, "--limit", count, "--json"], {encoding: "utf8", stdio: ["ignore", "pipe", "ignore"]}));
const llama = await getLlama({gpu: false, build: "never", logLevel: LlamaLogLevel.error});
const model = await llama.loadModel({modelPath: file});
const ctx = await model.createContext({contextSize: Number(count) + 8, batchSize: 512, threads: 2});
const sequence = ctx.getSequence();
const tokens = model.tokenize(readFileSync(text, "utf8").slice(0, 4 * Number(count)), false).slice(0, Number(count) + 1);
let nats = 0;
// One token at a time: the probabilities of a whole vocabulary at each of 512 positions
// would take gigabytes as JavaScript has them.
for (let i = 0; i + 1 < tokens.length; i++) {
    const out = await sequence.controlledEvaluate([[tokens[i], {generateNext: {logits: true}}]]);
    const logits = out[0].next.logits;
    let most = -Infinity, sum = 0;
    for (const x of logits.values())
        most = Math.max(most, x);
    for (const x of logits.values())
        sum += Math.exp(x - most);
    nats += most + Math.log(sum) - logits.get(tokens[i + 1]);
}
const loss = nats / (tokens.length - 1);
console.log(JSON.stringify({file, loss, ecospa_loss: ours.loss, difference: loss - ours.loss, tokens: tokens.length - 1, ecospa_tokens: ours.tokens}));
process.exit(Math.abs(loss - ours.loss) <= 0.005 && tokens.length - 1 === ours.tokens ? 0 : 1);
