// The search: every word of the question must begin a word of the part; titles count more.
(() => {
  const input = document.getElementById("find"), list = document.getElementById("found"), up = document.body.dataset.up;
  const plain = (s) => s.toLowerCase();
  const parts = pages.map((p) => ({ ...p, head: plain(p.page + " " + p.title), body: plain(p.text) }));
  const begins = (text, word) => {
    for (let i = text.indexOf(word), n = 0; i >= 0; i = text.indexOf(word, i + 1)) {
      if (i === 0 || !/[\p{L}\p{N}]/u.test(text[i - 1])) return 1 + Math.min(++n, 5) / 10;
    }
    return 0;
  };
  const score = (p, words) => {
    let sum = 0;
    for (const w of words) {
      const s = 5 * begins(p.head, w) + begins(p.body, w);
      if (s === 0) return 0;
      sum += s;
    }
    return sum;
  };
  const excerpt = (p, word) => {
    const i = Math.max(0, p.body.indexOf(word) - 40);
    return (i > 0 ? "… " : "") + p.text.slice(i, i + 130).trim() + " …";
  };
  const show = () => {
    const words = plain(input.value).split(/\s+/).filter(Boolean);
    const best = words.length ? parts.map((p) => [score(p, words), p]).filter(([s]) => s > 0).sort((a, b) => b[0] - a[0]).slice(0, 12) : [];
    list.replaceChildren(...best.map(([, p]) => {
      const a = document.createElement("a"), small = document.createElement("small");
      a.href = up + p.to;
      a.textContent = p.title === p.page ? p.title : p.page + " › " + p.title;
      small.textContent = excerpt(p, words[0]);
      a.append(small);
      const li = document.createElement("li");
      li.append(a);
      return li;
    }));
    if (words.length && !best.length) {
      const li = document.createElement("li");
      li.textContent = "Nothing found";
      list.append(li);
    }
    list.hidden = !words.length;
  };
  input.addEventListener("input", show);
  input.addEventListener("keydown", (e) => {
    const links = [...list.querySelectorAll("a")], at = links.findIndex((a) => a.classList.contains("at"));
    if (e.key === "Escape") { input.value = ""; show(); }
    if (e.key === "Enter" && links.length) location.href = links[Math.max(at, 0)].href;
    if (e.key !== "ArrowDown" && e.key !== "ArrowUp" || !links.length) return;
    e.preventDefault();
    const next = (at + (e.key === "ArrowDown" ? 1 : -1) + links.length) % links.length;
    links.forEach((a, i) => a.classList.toggle("at", i === next));
    links[next].scrollIntoView({ block: "nearest" });
  });
  document.addEventListener("click", (e) => { if (!e.target.closest(".find")) list.hidden = true; });
  document.addEventListener("keydown", (e) => { if (e.key === "/" && document.activeElement !== input) { e.preventDefault(); input.focus(); } });
})();
