// What tokenizers.mjs and families.mjs share: texts to encode, and the comparison of
// ecospa's ids with those of Hugging Face's own library.
import {execFileSync} from "node:child_process";
import {readFileSync} from "node:fs";
import {join} from "node:path";
import tokenizers from "tokenizers";

// makeTexts is nasty.json, long runs, every file whole and line by line, and texts drawn from a seed.
export function makeTexts(here, files, drawn = 4000) {
    const nasty = JSON.parse(readFileSync(join(here, "nasty.json"), "utf8"));
    nasty.push("x".repeat(10000), "abc".repeat(5000), "🦊".repeat(2000), " ".repeat(3000), "\n".repeat(3000), "a ".repeat(3000), "Ω".repeat(3000), "1".repeat(3000), "the".repeat(4000));
    const texts = [...nasty];
    let words = [];
    for (const f of files) {
        const text = readFileSync(f, "utf8");
        words.push(...text.slice(0, 50000).split(/(?= )/));
        texts.push(text, ...text.split(/(?<=\n)/));
    }
    let state = 1n; // a linear congruential generator
    const below = (n) => {
        state = (state * 6364136223846793005n + 1442695040888963407n) & 0xffffffffffffffffn;
        return Number((state >> 33n) % BigInt(n));
    };
    for (let i = 0; i < drawn; i++) {
        let text = "";
        for (let k = below(12); k >= 0; k--) {
            const from = below(3) ? nasty.filter((s) => s.length < 200) : words;
            text += from[below(from.length)];
            if (below(3) === 0)
                text += [" ", "  ", "\n", "'", "a", "1", "▁"][below(7)];
        }
        texts.push(text);
    }
    return texts;
}

export const show = (ids, at) => JSON.stringify(ids.slice(Math.max(0, at - 3), at + 5));

// compare encodes texts with both: ours opens path, theirs is json.
export async function compare(tokenize, path, json, texts) {
    const input = texts.map((t) => JSON.stringify(t)).join("\n") + "\n";
    let ours;
    try {
        ours = execFileSync(tokenize, [path], {input, maxBuffer: 1 << 30, encoding: "utf8", stdio: ["pipe", "pipe", "pipe"]}).trimEnd().split("\n").map((s) => JSON.parse(s));
    } catch (e) {
        return {refused: e.stderr?.trim() || String(e), failed: true};
    }
    const theirs = tokenizers.Tokenizer.fromString(json);
    const result = {ids: 0, differ: 0, decoded: 0, parallel: 0, template: true};
    const around = (await theirs.encode("a", null, {addSpecialTokens: true})).getIds();
    const bare = (await theirs.encode("a", null, {addSpecialTokens: false})).getIds();
    result.template = JSON.stringify(around) === JSON.stringify([...ours[0].front ?? [], ...bare, ...ours[0].back ?? []]);
    for (const [i, text] of texts.entries()) {
        const ids = (await theirs.encode(text, null, {addSpecialTokens: false})).getIds();
        result.ids += ids.length;
        const at = Math.max(ids.findIndex((id, k) => id !== ours[i].ids[k]), ids.length < ours[i].ids.length ? ids.length : -1);
        if (at >= 0) {
            result.differ++;
            result.first ??= {text: text.slice(0, 80), at, ours: show(ours[i].ids, at), theirs: show(ids, at)};
        }
        if (!ours[i].parallel)
            result.parallel++;
        const decoded = await theirs.decode(ids, false);
        if (decoded !== ours[i].text) {
            result.decoded++;
            result.decodedFirst ??= {text: text.slice(0, 80), ours: ours[i].text.slice(0, 80), theirs: decoded.slice(0, 80)};
        }
    }
    result.failed = result.differ > 0 || result.decoded > 0 || result.parallel > 0 || !result.template;
    return result;
}
