// Writes pkg/tokenizer/testdata/golden.json: small tokenizers and the ids that
// Hugging Face's own library (npm's tokenizers) gives for nasty.json:
//
//	node golden-tokenizers.mjs GPT2.json LLAMA.json OUT
//
// The two are tokenizer.json files of GPT-2 and Llama 2 as scripts/interop/tokenize
// converts them; only the first ids of each are kept.
import {readFileSync, writeFileSync} from "node:fs";
import tokenizers from "tokenizers";

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
const all = {
    gpt2: g,
    llama3: {...g, pre_tokenizer: split("(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\\r\\n\\p{L}\\p{N}]?\\p{L}+|\\p{N}{1,3}| ?[^\\s\\p{L}\\p{N}]+[\\r\\n]*|\\s*[\\r\\n]+|\\s+(?!\\S)|\\s+"), model: {...g.model, ignore_merges: true}},
    llama2: l,
    metaspace: {...l, normalizer: null, pre_tokenizer: {type: "Metaspace", replacement: "▁", prepend_scheme: "first", split: false}},
};
const golden = [];
for (const [name, json] of Object.entries(all)) {
    const t = tokenizers.Tokenizer.fromString(JSON.stringify(json)), encodings = [];
    for (const text of texts) {
        const ids = (await t.encode(text, null, {addSpecialTokens: false})).getIds();
        encodings.push({text, ids, decoded: await t.decode(ids, false)});
    }
    golden.push({name, tokenizer: json, encodings});
}
writeFileSync(out, JSON.stringify(golden));
