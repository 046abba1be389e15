// Runs an ONNX file in onnxruntime and compares it with the model that it was
// exported from:
//
//   ecospa export --model DIR --format onnx --out M.onnx --logits L.json
//   node onnx.mjs M.onnx L.json [BOUND]
//
// It prints one JSON object and exits with 1 when a logit differs by more than
// BOUND (default 1e-4) of the largest. The prompt runs once whole, and once as a
// batch of two of its first half, which must give the first half of the logits.
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

const ids = (list) => BigInt64Array.from(list, BigInt);
const half = want.ids.slice(0, want.ids.length / 2);
const result = {
    file, inputs: session.inputNames, logits: want.logits.length,
    relative: await difference(new Tensor("int64", ids(want.ids), [1, want.ids.length]), 1, want.logits.length),
    relative_batch: await difference(new Tensor("int64", ids([...half, ...half]), [2, half.length]), 2,
        want.logits.length / want.ids.length * half.length),
};
console.log(JSON.stringify(result));
process.exit(result.relative <= Number(bound) && result.relative_batch <= Number(bound) ? 0 : 1);
