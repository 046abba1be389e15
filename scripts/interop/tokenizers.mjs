// Compares ecospa's tokenizers, id by id, with Hugging Face's own library (npm's
// tokenizers, their Rust code) and, for a tokenizer.model, with SentencePiece:
//
//   node tokenizers.mjs VOCAB SOURCES TEXT...
//
// VOCAB is a folder with gpt2-vocab.json, gpt2-merges.txt and
// llama-tokenizer.model; SOURCES is scripts/interop. Every TEXT is encoded whole and line by line, then
// nasty.json, then 4000 texts drawn from a seed, with each of the pipelines below. It
// prints one JSON object and exits with 1 when any id, decoded text or template
// differs, or a pipeline is refused.
import {execFileSync} from "node:child_process";
import {copyFileSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync} from "node:fs";
import {tmpdir} from "node:os";
import {join} from "node:path";
import {compare, makeTexts, show} from "./parity.mjs";

const [vocab, here, ...files] = process.argv.slice(2);
const work = mkdtempSync(join(tmpdir(), "tokenizers-"));
const tokenize = join(work, "tokenize");
execFileSync("go", ["build", "-o", tokenize, "./tokenize"], {cwd: here, stdio: "inherit"});

const texts = makeTexts(here, files);

// pipelines: what the files say, and variations of it
const gpt2 = join(work, "gpt2"), llama = join(work, "llama");
mkdirSync(gpt2);
mkdirSync(llama);
copyFileSync(join(vocab, "gpt2-vocab.json"), join(gpt2, "vocab.json"));
copyFileSync(join(vocab, "gpt2-merges.txt"), join(gpt2, "merges.txt"));
copyFileSync(join(vocab, "llama-tokenizer.model"), join(llama, "tokenizer.model"));
const convert = (dir) => {
    execFileSync(tokenize, [dir, join(dir, "converted.json")], {input: ""});
    return JSON.parse(readFileSync(join(dir, "converted.json"), "utf8"));
};
const level = (prefix, regex) => ({type: "ByteLevel", add_prefix_space: prefix, trim_offsets: true, use_regex: regex});
const split = (regex, behavior = "Isolated", invert = false) => ({type: "Split", pattern: {Regex: regex}, behavior, invert});
const sequence = (...pretokenizers) => ({type: "Sequence", pretokenizers});
const contraction = "(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\\r\\n\\p{L}\\p{N}]?\\p{L}+|";
const tail = "| ?[^\\s\\p{L}\\p{N}]+[\\r\\n]*|\\s*[\\r\\n]+|\\s+(?!\\S)|\\s+";
const added = (id, content, options) => ({id, content, single_word: false, lstrip: false, rstrip: false, normalized: false, special: true, ...options});
const of = (base, change) => {
    const copy = structuredClone(base);
    change(copy);
    return copy;
};
const g = convert(gpt2), l = convert(llama);
const metaspace = (scheme, split) => of(l, (t) => {
    t.normalizer = null;
    t.pre_tokenizer = {type: "Metaspace", replacement: "▁", prepend_scheme: scheme, split};
    t.decoder = {type: "Sequence", decoders: [{type: "Replace", pattern: {String: "▁"}, content: " "}, {type: "ByteFallback"}, {type: "Fuse"}, ...scheme === "never" ? [] : [{type: "Strip", content: " ", start: 1, stop: 0}]]};
});
const pipelines = {
    "gpt2 (vocab.json, merges.txt)": [gpt2, g],
    "gpt2, a space in front": of(g, (t) => t.pre_tokenizer = level(true, true)),
    "gpt2, llama 3's pattern, ignore_merges": of(g, (t) => {
        t.pre_tokenizer = sequence(split(contraction + "\\p{N}{1,3}" + tail), level(false, false));
        t.model.ignore_merges = true;
    }),
    "gpt2, llama 3's pattern, removed and inverted": of(g, (t) => t.pre_tokenizer = sequence(split(contraction + "\\p{N}{1,3}" + tail, "Removed", true), level(false, false))),
    "gpt2, qwen 2's pattern, NFC": of(g, (t) => {
        t.normalizer = {type: "NFC"};
        t.pre_tokenizer = sequence(split(contraction + "\\p{N}" + tail), level(false, false));
    }),
    "gpt2, digits": of(g, (t) => t.pre_tokenizer = sequence({type: "Digits", individual_digits: true}, level(false, true))),
    "gpt2, deepseek's patterns": of(g, (t) => t.pre_tokenizer = sequence(
        split("[\\r\\n]"), split("\\s?[A-Za-zµÀ-ÖØ-öø-ƺƼ-ƿǄ-ʓʕ-ʯͰ-ͳͶͷͻ-ͽͿΆΈ-ΊΌΎ-ΡΣ-ϵϷ-ҁҊ-ԯԱ-Ֆ]+"), split("\\s?[!-/:-~！-／：-～‘-‟　-。]+"),
        split("[一-龥ࠀ-一가-퟿]+"), {type: "Digits", individual_digits: true}, level(false, false))),
    "gpt2, a pattern without a scanner of its own": of(g, (t) => t.pre_tokenizer = sequence(split("'s| ?\\p{Lu}\\p{Ll}*| ?\\p{L}+|\\d{1,2}| ?[^\\s\\p{L}\\p{N}]+|\\s+(?!\\S)|\\s+"), level(false, false))),
    "gpt2, split with the one before": of(g, (t) => t.pre_tokenizer = sequence(split("[aeiou]|, ", "MergedWithPrevious"), level(false, false))),
    "gpt2, split with the one behind": of(g, (t) => t.pre_tokenizer = sequence(split("[aeiou]|, ", "MergedWithNext"), level(false, false))),
    "gpt2, split contiguous": of(g, (t) => t.pre_tokenizer = sequence(split("[aeiou]|, ", "Contiguous"), level(false, false))),
    "gpt2, added tokens": of(g, (t) => {
        t.added_tokens.push(added(50257, "ROMEO", {single_word: true, special: false}), added(50258, "of the", {lstrip: true, normalized: true}), added(50259, "= =", {}),
            added(50260, "  ", {normalized: true, special: false}), added(50261, "thou art", {rstrip: true, single_word: true}));
    }),
    "llama 2 (tokenizer.model)": [llama, l],
    "llama 2, metaspace first": metaspace("first", false),
    "llama 2, metaspace always, split": metaspace("always", true),
    "llama 2, metaspace never": metaspace("never", false),
    "llama 2, no byte fallback": of(l, (t) => t.model.byte_fallback = false),
    "llama 2, no byte fallback, unknowns apart": of(l, (t) => {
        t.model.byte_fallback = false;
        t.model.fuse_unk = false;
    }),
    "llama 2, an end behind": of(l, (t) => {
        const token = (id) => ({SpecialToken: {id, type_id: 0}}), text = {Sequence: {id: "A", type_id: 0}};
        t.post_processor = {type: "TemplateProcessing", single: [token("<s>"), text, token("</s>")], pair: [text, {Sequence: {id: "B", type_id: 1}}],
            special_tokens: {"<s>": {id: "<s>", ids: [1], tokens: ["<s>"]}, "</s>": {id: "</s>", ids: [2], tokens: ["</s>"]}}};
    }),
    "llama 2, NFKC": of(l, (t) => t.normalizer.normalizers.unshift({type: "NFKC"})),
};

const report = {texts: texts.length, bytes: Buffer.byteLength(texts.join("")), pipelines: {}};
let failed = false;
for (const [name, pipeline] of Object.entries(pipelines)) {
    const [path, json] = Array.isArray(pipeline) ? pipeline : [join(work, "tokenizer.json"), pipeline];
    if (!Array.isArray(pipeline))
        writeFileSync(path, JSON.stringify(json));
    report.pipelines[name] = await compare(tokenize, path, JSON.stringify(json), texts);
    failed ||= report.pipelines[name].failed;
}

// SentencePiece itself, where Debian's python3-sentencepiece is installed. It has no
// added tokens in texts, and the texts that hold their names are left out.
const script = `
import json, sys, sentencepiece
m = sentencepiece.SentencePieceProcessor(model_file=sys.argv[1])
for line in sys.stdin:
    print(json.dumps(m.encode(json.loads(line))))
`;
try {
    const clean = texts.filter((t) => !/<s>|<\/s>|<unk>|\0|[\ud800-\udfff](?![\udc00-\udfff])/.test(t));
    const lines = clean.map((t) => JSON.stringify(t)).join("\n") + "\n";
    const sp = execFileSync("/usr/bin/python3", ["-c", script, join(llama, "tokenizer.model")], {input: lines, maxBuffer: 1 << 30, encoding: "utf8"}).trimEnd().split("\n").map((s) => JSON.parse(s));
    const ours = execFileSync(tokenize, [llama], {input: lines, maxBuffer: 1 << 30, encoding: "utf8"}).trimEnd().split("\n").map((s) => JSON.parse(s));
    const result = {texts: clean.length, ids: 0, differ: 0};
    for (const [i, ids] of sp.entries()) {
        result.ids += ids.length;
        if (JSON.stringify(ids) !== JSON.stringify(ours[i].ids)) {
            result.differ++;
            const at = ids.findIndex((id, k) => id !== ours[i].ids[k]);
            result.first ??= {text: clean[i].slice(0, 80), at, ours: show(ours[i].ids, at), theirs: show(ids, at)};
        }
    }
    failed ||= result.differ > 0;
    report.sentencepiece = result;
} catch (e) {
    report.sentencepiece = {unavailable: String(e.stderr || e).trim().split("\n").at(-1)};
}
rmSync(work, {recursive: true});
console.log(JSON.stringify(report, null, 1));
process.exit(failed ? 1 : 0);
