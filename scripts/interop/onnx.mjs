// Runs an ONNX file in onnxruntime and compares it with the model that it was
// exported from:
//
//   ecospa export --model DIR --format onnx --out M.onnx --logits L.json
//   node onnx.mjs M.onnx L.json [BOUND]
//
// It prints one JSON object and exits with 1 when a logit differs by more than
// BOUND (default 1e-4) of the largest. The input runs as it is, and once as a batch
// of another size: a text's first half twice, the first image three times.
import {readFileSync} from "node:fs";
import {InferenceSession, Tensor} from "onnxruntime-node";

const [file, reference, bound = "1e-4"] = process.argv.slice(2);
const want = JSON.parse(readFileSync(reference, "utf8"));
const session = await InferenceSession.create(file);
const most = want.logits.reduce((a, x) => Math.max(a, Math.abs(x)), 0);
const input = session.inputNames[0];

async function difference(feed, copies, count) {
    const out = (await session.run({[input]: feed})).logits.data;
    let worst = out.length === copies * count ? 0 : Infinity;
    for (let i = 0; i < out.length; i++)
        worst = Math.max(worst, Math.abs(out[i] - want.logits[i % count]));
    return worst / most;
}

// whole is the input as it is; other is another batch size, and for text another
// length, whose logits are the first ones again.
let whole, other;
if (want.pixels) {
    const one = want.pixels.slice(0, want.pixels.length / 2), size = want.shape.slice(1);
    whole = () => difference(new Tensor("float32", Float32Array.from(want.pixels), want.shape), 1, want.logits.length);
    other = () => difference(new Tensor("float32", Float32Array.from([...one, ...one, ...one]), [3, ...size]), 3, want.logits.length / 2);
} else {
    const ids = (list) => BigInt64Array.from(list, BigInt), half = want.ids.slice(0, want.ids.length / 2);
    whole = () => difference(new Tensor("int64", ids(want.ids), want.shape), 1, want.logits.length);
    other = () => difference(new Tensor("int64", ids([...half, ...half]), [2, half.length]), 2,
        want.logits.length / want.ids.length * half.length);
}
const result = {file, inputs: session.inputNames, logits: want.logits.length, relative: await whole(), relative_batch: await other()};
console.log(JSON.stringify(result));
process.exit(result.relative <= Number(bound) && result.relative_batch <= Number(bound) ? 0 : 1);
