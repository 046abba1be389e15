// Writes pkg/tokenizer/testdata/golden.json: small tokenizers and the ids that
// Hugging Face's own library (npm's tokenizers) gives for nasty.json:
//
//	node golden-tokenizers.mjs GPT2.json LLAMA.json OUT
//
// The two are tokenizer.json files of GPT-2 and Llama 2 as scripts/interop/tokenize
// converts them; only the first ids of each are kept.
import {readFileSync, writeFileSync} from "node:fs";
import tokenizers from "tokenizers";
import charsmap from "./charsmap.mjs";
import pieces from "./pieces.mjs";

const [gpt2, llama, out] = process.argv.slice(2);
const read = (path, n) => {
    const t = JSON.parse(readFileSync(path, "utf8"));
    t.model.vocab = Object.fromEntries(Object.entries(t.model.vocab).filter(([, id]) => id < n));
    t.model.merges = t.model.merges.filter((m) => {
        const [a, b] = m.split(" ");
        return a in t.model.vocab && b in t.model.vocab && a + b in t.model.vocab;
    });
    t.added_tokens = t.added_tokens.filter((a) => a.id < n);
    return t;
};
const split = (regex) => ({type: "Sequence", pretokenizers: [{type: "Split", pattern: {Regex: regex}, behavior: "Isolated", invert: false}, {type: "ByteLevel", add_prefix_space: false, trim_offsets: true, use_regex: false}]});
const g = read(gpt2, 600), l = read(llama, 600);
g.added_tokens.push({id: 600, content: "<|endoftext|>", single_word: false, lstrip: false, rstrip: false, normalized: false, special: true});
const texts = JSON.parse(readFileSync(new URL("nasty.json", import.meta.url), "utf8"));
const scored = pieces(texts.join("\n").repeat(4), 300), base = {version: "1.0", truncation: null, padding: null, added_tokens: [{...g.added_tokens.at(-1), id: 0, content: "<unk>"}], normalizer: null, pre_tokenizer: null, post_processor: null, decoder: null};
const metaspace = {type: "Metaspace", replacement: "▁", prepend_scheme: "always", split: true};
const unigram = {...base, pre_tokenizer: metaspace, decoder: metaspace, model: {type: "Unigram", unk_id: 0, vocab: scored, byte_fallback: false}};
const words = [...new Set(scored.map(([p]) => p.replace("▁", "").toLowerCase().normalize("NFD").replace(/\p{Mn}/gu, "")).filter((p) => p !== "" && p !== "<unk>"))];
const wordVocab = Object.fromEntries(["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", ...words.flatMap((w) => [w, "##" + w])].map((t, i) => [t, i]));
const bert = (normalizer, pre) => ({...base, added_tokens: ["[UNK]", "[CLS]", "[SEP]"].map((t) => ({...base.added_tokens[0], id: wordVocab[t], content: t})), normalizer, pre_tokenizer: {type: pre},
    post_processor: {type: "BertProcessing", sep: ["[SEP]", wordVocab["[SEP]"]], cls: ["[CLS]", wordVocab["[CLS]"]]}, decoder: {type: "WordPiece", prefix: "##", cleanup: true},
    model: {type: "WordPiece", unk_token: "[UNK]", continuing_subword_prefix: "##", max_input_chars_per_word: 100, vocab: wordVocab}});
const sequence = (...pretokenizers) => ({type: "Sequence", pretokenizers});
const isolated = (regex) => ({type: "Split", pattern: {Regex: regex}, behavior: "Isolated", invert: false});
const bytes = {type: "ByteLevel", add_prefix_space: false, trim_offsets: true, use_regex: false};
const all = {
    gpt2: g,
    llama3: {...g, pre_tokenizer: split("(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\\r\\n\\p{L}\\p{N}]?\\p{L}+|\\p{N}{1,3}| ?[^\\s\\p{L}\\p{N}]+[\\r\\n]*|\\s*[\\r\\n]+|\\s+(?!\\S)|\\s+"), model: {...g.model, ignore_merges: true}},
    qwen: {...g, normalizer: {type: "NFC"}, pre_tokenizer: split("(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\\r\\n\\p{L}\\p{N}]?\\p{L}+|\\p{N}| ?[^\\s\\p{L}\\p{N}]+[\\r\\n]*|\\s*[\\r\\n]+|\\s+(?!\\S)|\\s+")},
    smollm: {...g, pre_tokenizer: sequence({type: "Digits", individual_digits: true}, {...bytes, use_regex: true})},
    gpt4o: {...g, pre_tokenizer: sequence({...isolated("[^\\r\\n\\p{L}\\p{N}]?[\\p{Lu}\\p{Lt}\\p{Lm}\\p{Lo}\\p{M}]*[\\p{Ll}\\p{Lm}\\p{Lo}\\p{M}]+(?i:'s|'t|'re|'ve|'m|'ll|'d)?|[^\\r\\n\\p{L}\\p{N}]?[\\p{Lu}\\p{Lt}\\p{Lm}\\p{Lo}\\p{M}]+[\\p{Ll}\\p{Lm}\\p{Lo}\\p{M}]*(?i:'s|'t|'re|'ve|'m|'ll|'d)?|\\p{N}{1,3}| ?[^\\s\\p{L}\\p{N}]+[\\r\\n/]*|\\s*[\\r\\n]+|\\s+(?!\\S)|\\s+"), behavior: "Removed", invert: true}, bytes)},
    deepseek: {...g, pre_tokenizer: sequence(isolated("\\p{N}{1,3}"), isolated("[一-龥぀-ゟ゠-ヿ]+"), isolated("[!\"#$%&'()*+,\\-./:;<=>?@\\[\\\\\\]^_`{|}~][A-Za-z]+|[^\r\n\\p{L}\\p{P}\\p{S}]?[\\p{L}\\p{M}]+| ?[\\p{P}\\p{S}]+[\r\n]*|\\s*[\\r\\n]+|\\s+(?!\\S)|\\s+"), bytes)},
    llama2: l,
    gemma: {...l, normalizer: {type: "Replace", pattern: {String: " "}, content: "▁"}, pre_tokenizer: {type: "Split", pattern: {String: " "}, behavior: "MergedWithPrevious", invert: false}, decoder: {type: "Sequence", decoders: [{type: "Replace", pattern: {String: "▁"}, content: " "}, {type: "ByteFallback"}, {type: "Fuse"}]}},
    unigram,
    "unigram, precompiled": {...unigram, normalizer: {type: "Sequence", normalizers: [{type: "Precompiled", precompiled_charsmap: charsmap([["\n", " "], ["\t", " "], ["\u00a0", " "], ["\u3000", " "], ["ﬁ", "fi"], ["e\u0301", "é"], ["①", "1"], ["\u200b", ""], ["👍", "+"]])}, {type: "Strip", strip_left: false, strip_right: true}, {type: "Replace", pattern: {Regex: " {2,}"}, content: "▁"}]}},
    "unigram, bytes": {...unigram, normalizer: {type: "Nmt"}, model: {...unigram.model, byte_fallback: true, vocab: [...scored, ...Array.from({length: 256}, (_, b) => [`<0x${b.toString(16).toUpperCase().padStart(2, "0")}>`, 0])]}, decoder: {type: "Sequence", decoders: [{type: "ByteFallback"}, metaspace]}},
    bert: bert({type: "BertNormalizer", clean_text: true, handle_chinese_chars: true, strip_accents: null, lowercase: true}, "BertPreTokenizer"),
    "bert, cased": bert({type: "BertNormalizer", clean_text: true, handle_chinese_chars: true, strip_accents: false, lowercase: false}, "BertPreTokenizer"),
    "wordpiece, words": bert({type: "Sequence", normalizers: [{type: "NFD"}, {type: "StripAccents"}, {type: "Lowercase"}]}, "Whitespace"),
    metaspace: {...l, normalizer: null, pre_tokenizer: {type: "Metaspace", replacement: "▁", prepend_scheme: "first", split: false}},
};
// A tokenizer is written as what it has other than the first one of its kind; a text
// that decodes to itself is null.
const golden = {texts, tokenizers: []};
for (const [name, json] of Object.entries(all)) {
    const t = tokenizers.Tokenizer.fromString(JSON.stringify(json)), ids = [], decoded = [];
    for (const text of texts) {
        ids.push((await t.encode(text, null, {addSpecialTokens: false})).getIds());
        const back = await t.decode(ids.at(-1), false);
        decoded.push(back === text ? null : back);
    }
    const like = Object.keys(all).find((other) => other !== name && all[other].model === json.model);
    const known = golden.tokenizers.some((g) => g.name === like);
    golden.tokenizers.push({name, like: known ? like : undefined, tokenizer: known ? Object.fromEntries(Object.entries(json).filter(([k, v]) => v !== all[like][k])) : json, ids, decoded});
}
writeFileSync(out, JSON.stringify(golden));
