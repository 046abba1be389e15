"""lm-evaluation-harness's own LocalCompletionsAPI against a server, and `ecospa eval` of the same:

python3 lmeval.py PATH_OF_HARNESS http://127.0.0.1:8080 DOCS.jsonl ECOSPA MODEL

asks for log-likelihoods of continuations, of whole documents (rolling) and for texts, and
fails where a document's differs from `ECOSPA eval --model MODEL` by more than 1e-5 of it.
Needs Debian's python3-aiohttp, python3-tenacity, python3-tqdm, python3-jinja2,
python3-requests, python3-yaml and python3-numpy; no transformers."""
import importlib.metadata, json, os, subprocess, sys, tempfile
harness, base, docs, ecospa, model = sys.argv[1:]
sys.path.insert(0, harness)
version = importlib.metadata.version
importlib.metadata.version = lambda name: "0" if name == "lm_eval" else version(name)  # a checkout is not installed
from lm_eval.models.openai_completions import LocalCompletionsAPI
from lm_eval.api.instance import Instance

os.environ.setdefault("OPENAI_API_KEY", os.environ.get("ECOSPA_API_KEY", "none"))
lm = LocalCompletionsAPI(base_url=base + "/v1/completions", model="m", tokenizer_backend="remote", num_concurrent=4, batch_size=4, max_length=512)
docs = [json.loads(l)["text"] for l in open(docs)]
docs = [d for d in docs if len(lm.tok_encode(d)) < 500][:6]  # one window of eval
assert docs, "no text of less than 500 tokens"
inst = lambda kind, args: Instance(request_type=kind, doc={}, arguments=args, idx=0)

choices = [" little girl", " big dog", " zebra", " the the"]
scores = lm.loglikelihood([inst("loglikelihood", ("Once upon a time, there was a", c)) for c in choices])
assert all(s < 0 for s, _ in scores), scores
text = lm.generate_until([inst("generate_until", ("Once upon a time", {"until": ["."], "max_gen_toks": 60, "temperature": 0}))])
assert len(text[0]) > 0 and "." not in text[0], text
rolling = lm.loglikelihood_rolling([inst("loglikelihood_rolling", (d,)) for d in docs])
worst = 0
with tempfile.TemporaryDirectory() as work:
    for d, got in zip(docs, rolling):
        got = got[0] if isinstance(got, (tuple, list)) else got
        path = os.path.join(work, "doc.jsonl")
        open(path, "w").write(json.dumps({"text": d}) + "\n")
        r = json.loads(subprocess.run([ecospa, "eval", "--model", model, "--data", path, "--json"], check=True, capture_output=True).stdout)
        want = -r["loss"] * r["tokens"]
        worst = max(worst, abs(got - want) / abs(want))
        assert abs(got - want) <= 1e-5 * abs(want), (got, want, r)
    path = os.path.join(work, "choices.jsonl")
    best = max(range(4), key=lambda i: scores[i][0])
    open(path, "w").write(json.dumps({"context": "Once upon a time, there was a", "choices": choices, "answer": best}) + "\n")
    r = json.loads(subprocess.run([ecospa, "eval", "--model", model, "--choices", path, "--json"], check=True, capture_output=True).stdout)
    assert r["accuracy"] == 1, r
print("lm-evaluation-harness: passed; choices", [round(s, 3) for s, _ in scores], f"documents differ from eval by at most {worst:.1e}")
