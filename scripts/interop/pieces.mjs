// A small unigram vocabulary of a text: characters and the substrings of words that
// save most, with the logarithms of how often they occur. It is no trained model; it
// is one that both sides of a comparison read.
export default function pieces(text, n = 6000) {
    const count = new Map(), add = (s, k) => count.set(s, (count.get(s) ?? 0) + k);
    const words = new Map();
    for (const w of text.slice(0, 1500000).split(/\s+/))
        if (w)
            words.set("▁" + w, (words.get("▁" + w) ?? 0) + 1);
    for (const [w, k] of words) {
        const c = [...w];
        for (let i = 0; i < c.length; i++)
            for (let j = i + 1; j <= Math.min(c.length, i + 10); j++)
                add(c.slice(i, j).join(""), k);
    }
    const chars = [...count].filter(([s]) => [...s].length === 1);
    const longer = [...count].filter(([s, k]) => [...s].length > 1 && k > 3).sort((a, b) => b[1] * b[0].length - a[1] * a[0].length || (a[0] < b[0] ? -1 : 1)).slice(0, n);
    const total = [...chars, ...longer].reduce((t, [, k]) => t + k, 0);
    return [["<unk>", 0], ...[...chars, ...longer].filter(([s]) => s !== "<unk>").map(([s, k]) => [s, Math.log(k / total)])];
}
