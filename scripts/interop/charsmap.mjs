// A precompiled_charsmap (a double-array trie of strings to rewrite and the texts they
// become, as SentencePiece writes it) of a few pairs, in base64.
export default function charsmap(pairs) {
    const encoder = new TextEncoder();
    let blob = [];
    const root = {children: new Map(), value: -1};
    for (const [from, to] of pairs) {
        let node = root;
        for (const b of encoder.encode(from)) {
            if (!node.children.has(b))
                node.children.set(b, {children: new Map(), value: -1});
            node = node.children.get(b);
        }
        node.value = blob.length;
        blob.push(...encoder.encode(to), 0);
    }
    const units = new Array(1024).fill(0), used = new Set([0]);
    const place = (node, at) => {
        const labels = [...node.children.keys(), ...(node.value >= 0 ? [0] : [])];
        let offset = 1;
        while (labels.some((c) => used.has(at ^ offset ^ c) || (at ^ offset ^ c) >= units.length))
            offset++;
        labels.forEach((c) => used.add(at ^ offset ^ c));
        units[at] = (units[at] & 0xff | offset << 10 | (node.value >= 0 ? 1 << 8 : 0)) >>> 0;
        if (node.value >= 0)
            units[at ^ offset] = (node.value | 1 << 31) >>> 0;
        for (const [c, child] of node.children) {
            units[at ^ offset ^ c] = c;
            place(child, at ^ offset ^ c);
        }
    };
    place(root, 0);
    const out = Buffer.alloc(4 + 4 * units.length + blob.length);
    out.writeUInt32LE(4 * units.length, 0);
    units.forEach((u, i) => out.writeUInt32LE(u, 4 + 4 * i));
    Buffer.from(blob).copy(out, 4 + 4 * units.length);
    return out.toString("base64");
}
