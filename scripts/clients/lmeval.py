"""lm-evaluation-harness's own LocalCompletionsAPI against a server:
python3 lmeval.py PATH_OF_HARNESS http://127.0.0.1:8080 DOCS.jsonl OUT.json

Needs Debian's python3-aiohttp, python3-tenacity, python3-tqdm, python3-jinja2,
python3-requests, python3-yaml and python3-numpy; no transformers."""
import json, sys, types
sys.path.insert(0, sys.argv[1])
base = sys.argv[2]
from lm_eval.models.openai_completions import LocalCompletionsAPI
from lm_eval.api.instance import Instance

lm = LocalCompletionsAPI(base_url=base + "/v1/completions", model="m", tokenizer_backend="remote", num_concurrent=4, batch_size=4, max_length=512)
docs = [json.loads(l)["text"] for l in open(sys.argv[3])][:12]
inst = lambda kind, args: Instance(request_type=kind, doc={}, arguments=args, idx=0)
choices = [inst("loglikelihood", ("Once upon a time, there was a", c)) for c in (" little girl", " big dog", " zebra", " the the")]
ll = lm.loglikelihood(choices)
rolling = lm.loglikelihood_rolling([inst("loglikelihood_rolling", (d,)) for d in docs])
gen = lm.generate_until([inst("generate_until", ("Once upon a time", {"until": ["."], "max_gen_toks": 60, "temperature": 0}))])
json.dump({"loglikelihood": ll, "rolling": rolling, "generated": gen}, open(sys.argv[4], "w"))
print(ll, rolling[:3], gen)
