// Cuts the vocabulary of models with the tokenizer.json files of real models, and holds the
// result against Hugging Face's own libraries (npm's tokenizers, their Rust code, and
// @huggingface/tokenizers, which transformers.js uses) and onnxruntime:
//
//   node vocabulary.mjs ECOSPA SOURCES TEXT... -- TOKENIZER.json|MODEL...
//
// SOURCES is scripts/interop. Around every TOKENIZER.json a small random model is made, a
// directory is a model by itself. Each is cut to 8000 ids (VOCAB in the environment; four
// fifths of a smaller vocabulary) and to those of the first TEXT, whose first 200 kB are the data, the last
// tenth of them held out. For each cut it prints one JSON object; it exits with 1 when
//
// - an id or a decoded text of the new tokenizer differs between ecospa and either library
//   (texts that the JavaScript library reads otherwise than the Rust one with the old
//   tokenizer, too, are counted and left out),
// - a text is decoded to something else than before, or one whose ids all stay has others,
// - a logit of a kept id is off by more than 1e-5 of the largest in onnxruntime,
// - tokens or nats a byte in prune's report are not those of the held-out text by itself
//   (counted by the Rust library, and by ecospa eval), or
// - config.json's eos_token_id is another token.
import {execFileSync} from "node:child_process";
import {copyFileSync, existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, statSync, writeFileSync} from "node:fs";
import {tmpdir} from "node:os";
import {basename, dirname, join} from "node:path";
import {Tokenizer} from "@huggingface/tokenizers";
import {InferenceSession, Tensor} from "onnxruntime-node";
import tokenizers from "tokenizers";
import {compare, makeTexts} from "./parity.mjs";

const [ecospa, here, ...rest] = process.argv.slice(2);
const between = rest.indexOf("--"), files = rest.slice(0, between), sources = rest.slice(between + 1);
const size = Number(process.env.VOCAB ?? 8000);
const work = mkdtempSync(join(tmpdir(), "vocabulary-")), tokenize = join(work, "tokenize");
execFileSync("go", ["build", "-o", tokenize, "./tokenize"], {cwd: here, stdio: "inherit"});
const run = (...args) => JSON.parse(execFileSync(ecospa, args, {encoding: "utf8", maxBuffer: 1 << 28, stdio: ["ignore", "pipe", "inherit"]}));
const texts = makeTexts(here, [], 0);
for (const f of files) // in pieces of some kilobytes: a tokenizer without words takes long for a whole one
    texts.push(...readFileSync(f, "utf8").match(/[^]{1,8000}(\n|$)|[^]{1,8000}/g));

// The data, and the part that prune holds out of it.
const data = readFileSync(files[0]).subarray(0, 200000), train = join(work, "train.txt"), held = join(work, "held.txt");
let from = data.length - Math.trunc(0.1 * data.length);
while ((data[from] & 0xc0) === 0x80)
    from--;
writeFileSync(train, data);
writeFileSync(held, data.subarray(from));

const read = (path) => JSON.parse(readFileSync(path, "utf8"));

// idsOf is the id of each token of a tokenizer.json.
function idsOf(tokenizer) {
    const vocab = tokenizer.model.vocab, ids = new Map(Array.isArray(vocab) ? vocab.map(([token], id) => [token, id]) : Object.entries(vocab));
    for (const t of tokenizer.added_tokens)
        ids.set(t.content, t.id);
    return ids;
}

// makeModel writes a llama with random weights around a tokenizer.json.
function makeModel(path, dir) {
    mkdirSync(dir);
    copyFileSync(path, join(dir, "tokenizer.json"));
    const settings = join(dirname(path), "tokenizer_config.json");
    let end;
    const ids = idsOf(read(path)), rows = 1 + [...ids.values()].reduce((a, b) => Math.max(a, b));
    if (existsSync(settings)) {
        copyFileSync(settings, join(dir, "tokenizer_config.json"));
        const name = read(settings).eos_token;
        end = ids.get(name?.content ?? name);
    }
    const hidden = 32, ffn = 64, layers = 2;
    const shapes = {"model.embed_tokens.weight": [rows, hidden], "model.norm.weight": [hidden]};
    for (let l = 0; l < layers; l++)
        for (const [name, shape] of Object.entries({"self_attn.q_proj": [hidden, hidden], "self_attn.k_proj": [hidden / 2, hidden], "self_attn.v_proj": [hidden / 2, hidden], "self_attn.o_proj": [hidden, hidden],
            "mlp.gate_proj": [ffn, hidden], "mlp.up_proj": [ffn, hidden], "mlp.down_proj": [hidden, ffn], "input_layernorm": [hidden], "post_attention_layernorm": [hidden]}))
            shapes[`model.layers.${l}.${name}.weight`] = shape;
    let state = 1, offset = 0;
    const header = {}, parts = [];
    for (const [name, shape] of Object.entries(shapes)) {
        const values = new Float32Array(shape.reduce((a, b) => a * b));
        for (let i = 0; i < values.length; i++) {
            state = Math.imul(state ^ state >>> 15, 0x2c1b3c6d) + 0x9e3779b9 | 0;
            values[i] = shape.length === 1 ? 1 : (state / 2 ** 31) * Math.sqrt(3 / shape[1]);
        }
        header[name] = {dtype: "F32", shape, data_offsets: [offset, offset += values.byteLength]};
        parts.push(Buffer.from(values.buffer));
    }
    const text = Buffer.from(JSON.stringify(header)), length = Buffer.alloc(8);
    length.writeBigUInt64LE(BigInt(text.length));
    writeFileSync(join(dir, "model.safetensors"), Buffer.concat([length, text, ...parts]));
    writeFileSync(join(dir, "config.json"), JSON.stringify({architectures: ["LlamaForCausalLM"], model_type: "llama", hidden_size: hidden, intermediate_size: ffn, num_hidden_layers: layers, num_attention_heads: 4,
        num_key_value_heads: 2, max_position_embeddings: 256, rms_norm_eps: 1e-5, rope_theta: 10000, hidden_act: "silu", tie_word_embeddings: true, vocab_size: rows, eos_token_id: end, torch_dtype: "float32"}));
}

async function logits(dir, ids) {
    const file = join(work, "m.onnx");
    execFileSync(ecospa, ["export", "--force", "--model", dir, "--format", "onnx", "--out", file], {stdio: ["ignore", "ignore", "inherit"]});
    const session = await InferenceSession.create(file);
    const out = (await session.run({input_ids: new Tensor("int64", BigInt64Array.from(ids, BigInt), [1, ids.length])})).logits.data;
    await session.release();
    return out;
}

// inScript is the ids by the JavaScript library, which throws for some texts.
const inScript = (t, text) => {
    try {
        return JSON.stringify(t.encode(text, {add_special_tokens: false}).ids);
    } catch (e) {
        return String(e);
    }
};

// check compares a cut with the model before it.
async function check(model, cut, report) {
    const out = {...report}, was = read(join(model, "tokenizer.json")), is = read(join(cut, "tokenizer.json"));
    const json = JSON.stringify(is), path = join(cut, "tokenizer.json");
    out.parity = await compare(tokenize, path, json, texts);
    const old = idsOf(was), now = idsOf(is), oldOf = [], newOf = new Map();
    for (const [token, id] of now) {
        oldOf[id] = old.get(token);
        newOf.set(old.get(token), id);
    }
    const before = tokenizers.Tokenizer.fromString(JSON.stringify(was)), after = tokenizers.Tokenizer.fromString(json);
    const scriptBefore = new Tokenizer(was, {}), scriptAfter = new Tokenizer(is, {});
    Object.assign(out, {texts: texts.length, script_differ: 0, script_left_out: 0, decoded_otherwise: 0, kept_texts: 0, kept_differ: 0});
    for (const text of texts) {
        const a = (await before.encode(text, null, {addSpecialTokens: false})).getIds(), b = (await after.encode(text, null, {addSpecialTokens: false})).getIds();
        if (inScript(scriptBefore, text) !== JSON.stringify(a))
            out.script_left_out++;
        else if (inScript(scriptAfter, text) !== JSON.stringify(b)) {
            out.script_differ++;
            out.script_first ??= text.slice(0, 80);
        }
        if (await before.decode(a, false) !== await after.decode(b, false)) {
            out.decoded_otherwise++;
            out.decoded_first ??= text.slice(0, 80);
        }
        const kept = a.map((id) => newOf.get(id));
        if (!kept.includes(undefined)) {
            out.kept_texts++;
            out.kept_differ += JSON.stringify(kept) !== JSON.stringify(b);
        }
    }
    const heldText = readFileSync(held, "utf8"), bytes = Buffer.byteLength(heldText);
    const counted = async (t, dir) => {
        const front = JSON.parse(execFileSync(tokenize, [dir], {input: "\"a\"\n", encoding: "utf8"}).trim()).front ?? [];
        return (await t.encode(heldText, null, {addSpecialTokens: false})).getIds().length - (front.length > 0 ? 0 : 1);
    };
    out.tokens_wrong = [await counted(before, model) - report.tokens_per_byte_before * bytes, await counted(after, cut) - report.tokens_per_byte_after * bytes].map(Math.abs);
    const nats = (dir) => {
        const e = run("eval", "--model", dir, "--data", held, "--context", "64", "--json");
        return e.loss * e.tokens / bytes;
    };
    out.nats_wrong = [Math.abs(nats(model) / report.loss_per_byte_before - 1), Math.abs(nats(cut) / report.loss_per_byte_after - 1)];
    const ids = (await after.encode(heldText, null, {addSpecialTokens: false})).getIds().slice(0, 32);
    const x = await logits(model, ids.map((id) => oldOf[id])), y = await logits(cut, ids);
    const rows = y.length / ids.length, all = x.length / ids.length;
    let worst = 0, most = 0;
    for (let i = 0; i < ids.length; i++)
        for (let id = 0; id < rows; id++) {
            most = Math.max(most, Math.abs(y[i * rows + id]));
            worst = Math.max(worst, Math.abs(y[i * rows + id] - x[i * all + oldOf[id]]));
        }
    out.logits = worst / most;
    const end = read(join(model, "config.json")).eos_token_id, newEnd = read(join(cut, "config.json")).eos_token_id;
    out.eos_same = (end ?? -1) === (newEnd === undefined || newEnd === null ? -1 : oldOf[newEnd]);
    out.failed = out.parity.failed || out.script_differ > 0 || out.decoded_otherwise > 0 || out.kept_differ > 0 || Math.max(...out.tokens_wrong) > 1e-3 || Math.max(...out.nats_wrong) > 1e-6 || !(out.logits <= 1e-5) || !out.eos_same;
    return out;
}

let failed = false;
for (const source of sources) {
    const dir = statSync(source).isDirectory(), name = dir ? basename(source) : basename(dirname(dirname(source)));
    const model = dir ? source : join(work, name), cut = join(work, "cut");
    if (!dir)
        makeModel(source, model);
    const all = idsOf(read(join(model, "tokenizer.json"))).size;
    for (const how of [["--vocab", String(Math.min(size, Math.trunc(0.8 * all)))], ["--vocab-data", files[0]]]) {
        const r = run("prune", "--from", model, "--data", train, "--out", cut, "--force", "--recover", "none", "--eval-tokens", "0", "--context", "64", "--json", ...how);
        const out = await check(model, cut, r.vocabulary);
        console.log(JSON.stringify({model: name, cut: how.map((s) => basename(s)).join(" "), parameters: [r.before.params, r.after.params], ...out}));
        failed ||= out.failed;
    }
    if (!dir)
        rmSync(model, {recursive: true});
}
rmSync(work, {recursive: true});
process.exit(failed ? 1 : 0);
