// Compares ecospa's tokenizers, id by id, with Hugging Face's own library (npm's
// tokenizers, their Rust code) on the tokenizer.json files of real models, and on
// WordPiece and unigram tokenizers that the same library trains here on the texts:
//
//   node families.mjs SOURCES TEXT... -- TOKENIZER.json...
//
// SOURCES is scripts/interop. A vocabulary of BERT (an object of tokens and ids, or a
// list of tokens) may stand among the tokenizers: it is put into BERT's pipeline. It
// prints one JSON object and exits with 1 when any id, decoded text or template differs.
import {execFileSync} from "node:child_process";
import {mkdtempSync, readFileSync, rmSync, writeFileSync} from "node:fs";
import {tmpdir} from "node:os";
import {join} from "node:path";
import tokenizers from "tokenizers";
import {compare, makeTexts} from "./parity.mjs";

const [here, ...rest] = process.argv.slice(2);
const cut = rest.indexOf("--"), files = rest.slice(0, cut), real = rest.slice(cut + 1);
const work = mkdtempSync(join(tmpdir(), "families-"));
const tokenize = join(work, "tokenize");
execFileSync("go", ["build", "-o", tokenize, "./tokenize"], {cwd: here, stdio: "inherit"});
const texts = makeTexts(here, files, 1500);

const added = (id, content) => ({id, content, single_word: false, lstrip: false, rstrip: false, normalized: false, special: true});
const base = {version: "1.0", truncation: null, padding: null, added_tokens: [], normalizer: null, pre_tokenizer: null, post_processor: null, decoder: null};
const bert = (vocab, options = {}) => ({...base,
    added_tokens: ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"].filter((t) => t in vocab).map((t) => added(vocab[t], t)),
    normalizer: {type: "BertNormalizer", clean_text: true, handle_chinese_chars: true, strip_accents: null, lowercase: true, ...options},
    pre_tokenizer: {type: "BertPreTokenizer"},
    post_processor: {type: "TemplateProcessing", single: [{SpecialToken: {id: "[CLS]", type_id: 0}}, {Sequence: {id: "A", type_id: 0}}, {SpecialToken: {id: "[SEP]", type_id: 0}}], pair: [{Sequence: {id: "A", type_id: 0}}, {Sequence: {id: "B", type_id: 1}}],
        special_tokens: Object.fromEntries(["[CLS]", "[SEP]"].map((t) => [t, {id: t, ids: [vocab[t]], tokens: [t]}]))},
    decoder: {type: "WordPiece", prefix: "##", cleanup: true},
    model: {type: "WordPiece", unk_token: "[UNK]", continuing_subword_prefix: "##", max_input_chars_per_word: 100, vocab}});

const pipelines = {};
for (const path of real) {
    const t = JSON.parse(readFileSync(path, "utf8"));
    if (t.model) {
        pipelines[path] = t;
        continue;
    }
    const vocab = Array.isArray(t) ? Object.fromEntries(t.map((s, i) => [s, i])) : t;
    pipelines[path + ", uncased"] = bert(vocab);
    pipelines[path + ", cased"] = bert(vocab, {lowercase: false, strip_accents: false});
    pipelines[path + ", BertProcessing, no cleanup"] = {...bert(vocab, {clean_text: false, handle_chinese_chars: false}), post_processor: {type: "BertProcessing", sep: ["[SEP]", vocab["[SEP]"]], cls: ["[CLS]", vocab["[CLS]"]]}, decoder: {type: "WordPiece", prefix: "##", cleanup: false}};
}

// trained here
const {BPE, Unigram, WordPiece} = tokenizers;
const unigram = (vocab, change) => ({...base, model: {type: "Unigram", unk_id: 0, vocab, byte_fallback: false}, ...change});
const metaspace = {type: "Metaspace", replacement: "▁", prepend_scheme: "always", split: true};
const pieces = (await import("./pieces.mjs")).default(files.map((f) => readFileSync(f, "utf8")).join("\n"));
pipelines["unigram, as T5"] = unigram(pieces, {pre_tokenizer: metaspace, decoder: metaspace, normalizer: {type: "Sequence", normalizers: [{type: "Strip", strip_left: false, strip_right: true}, {type: "Replace", pattern: {Regex: " {2,}"}, content: "▁"}]},
    added_tokens: [added(0, "<unk>")]});
pipelines["unigram, NFKC, bytes"] = unigram([...pieces, ...Array.from({length: 256}, (_, b) => [`<0x${b.toString(16).toUpperCase().padStart(2, "0")}>`, 0])], {normalizer: {type: "NFKC"}, pre_tokenizer: {...metaspace, prepend_scheme: "first"},
    decoder: {type: "Sequence", decoders: [{type: "ByteFallback"}, metaspace]}});
pipelines["unigram, byte fallback"] = of(pipelines["unigram, NFKC, bytes"], (t) => t.model.byte_fallback = true);
pipelines["unigram, WhitespaceSplit and Metaspace, Nmt, Lowercase, StripAccents"] = unigram(pieces, {normalizer: {type: "Sequence", normalizers: [{type: "Nmt"}, {type: "NFKD"}, {type: "Lowercase"}, {type: "StripAccents"}]}, pre_tokenizer: {type: "Sequence", pretokenizers: [{type: "WhitespaceSplit"}, metaspace]}, decoder: metaspace});
pipelines["unigram, whole texts"] = unigram(pieces, {normalizer: {type: "Replace", pattern: {String: " "}, content: "▁"}, decoder: {type: "Sequence", decoders: [{type: "Replace", pattern: {String: "▁"}, content: " "}, {type: "Fuse"}]}});
const words = [...new Set(pieces.map(([p]) => p.replace("▁", "")).filter((p) => p !== ""))].slice(0, 3000);
const wordVocab = Object.fromEntries(["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", ...words.flatMap((w) => [w, "##" + w])].map((t, i) => [t, i]));
for (const [name, pre] of Object.entries({Whitespace: {type: "Whitespace"}, WhitespaceSplit: {type: "WhitespaceSplit"}, Punctuation: {type: "Sequence", pretokenizers: [{type: "WhitespaceSplit"}, {type: "Punctuation", behavior: "MergedWithNext"}]}, CharDelimiterSplit: {type: "CharDelimiterSplit", delimiter: " "}}))
    pipelines["WordPiece, " + name] = {...bert(wordVocab), pre_tokenizer: pre};

function of(base, change) {
    const copy = structuredClone(base);
    change(copy);
    return copy;
}

const report = {texts: texts.length, bytes: Buffer.byteLength(texts.join("")), pipelines: {}};
let failed = false;
for (const [name, json] of Object.entries(pipelines)) {
    const path = join(work, "tokenizer.json"), text = JSON.stringify(json);
    writeFileSync(path, text);
    report.pipelines[name] = await compare(tokenize, path, text, texts);
    failed ||= report.pipelines[name].failed;
}
rmSync(work, {recursive: true});
console.log(JSON.stringify(report, null, 1));
process.exit(failed ? 1 : 0);
