package config

import (
	"errors"
	"reflect"
	"strings"
	"testing"
)

// sound is a run file that nothing is wrong with.
const sound = `
model: {family: llama, layers: 2, width: 64, heads: 4, kv_heads: 2, ffn: 96}
data: {synthetic: stories, bytes: 1MB}
train: {steps: 100, batch: 8, context: 32}
prune: {target: 0.5x}
out: runs/x
`

// images makes the run one on images.
const images = "model.family=vit model.width=12 model.heads=2 model.layers=1 model.vocab=0 model.context=0 model.kv_heads=0 model.ffn=24 data.path=x data.synthetic= data.bytes=4MB"

// TestEveryRange gives every key values of the right type that make no sense: the
// message names the key, the value, and what is expected.
func TestEveryRange(t *testing.T) {
	if r, err := Parse([]byte(sound), nil); err != nil || r.Validate() != nil {
		t.Fatal(err, r.Validate())
	}
	rows := []struct {
		set  string   // key=value; further overrides behind spaces
		want []string // beside key and value
	}{
		{"model.name=llama-9t", []string{"expected one of", "llama-60m", "gpt2-small"}},
		{"model.name=LLAMA-60M", []string{"llama-60m"}},
		{"model.family=nothing", []string{"gpt2", "llama"}},
		{"model.family=", []string{"neither name nor family"}},
		{"model.layers=0", []string{"expected 1 to 4096"}},
		{"model.layers=-1", []string{"expected 1 to 4096"}},
		{"model.layers=4097", []string{"expected 1 to 4096"}},
		{"model.width=0", []string{"expected 1 to 1048576"}},
		{"model.width=-64", []string{"expected 1 to 1048576"}},
		{"model.width=1048580", []string{"expected 1 to 1048576"}},
		{"model.width=66", []string{"model.heads, 4, does not divide"}},
		{"model.heads=0", []string{"expected 1 to 4096"}},
		{"model.heads=-4 model.head_dim=16", []string{"expected 1 to 4096"}},
		{"model.heads=3", []string{"does not divide"}},
		{"model.heads=8192 model.width=8192", []string{"expected 1 to 4096"}},
		{"model.kv_heads=3", []string{"does not divide", "model.heads is 4"}},
		{"model.kv_heads=8", []string{"expected 1 to 4"}},
		{"model.kv_heads=-1", []string{"expected 1 to 4"}},
		{"model.head_dim=-2", []string{"expected 1 to 65536"}},
		{"model.head_dim=70000", []string{"expected 1 to 65536"}},
		{"model.head_dim=15", []string{"an even number"}},
		{"model.ffn=-1", []string{"expected 1 to 4194304"}},
		{"model.ffn=4194305", []string{"expected 1 to 4194304"}},
		{"model.vocab=-5", []string{"expected 1 to 16777216"}},
		{"model.vocab=16777217", []string{"expected 1 to 16777216"}},
		{"model.context=-1", []string{"expected 1 to 16777216"}},
		{"model.context=20000000", []string{"expected 1 to 16777216"}},
		{"model.rope_theta=1", []string{"expected above 1"}},
		{"model.rope_theta=-10000", []string{"expected above 1"}},

		{"data.path=a.txt", []string{"data.synthetic", "give one of them"}},
		{"data.synthetic=", []string{"data.path is empty", "expected a text file, folder or glob"}},
		{"data.synthetic=poems", []string{"expected stories"}},
		{"data.validation=-0.1", []string{"0 to 0.9"}},
		{"data.validation=0.95", []string{"0 to 0.9"}},
		{"data.validation=5", []string{"a share, 0 to 0.9"}},
		{"data.pack=tight", []string{"expected documents or stream"}},
		{"train.epochs=-1", []string{"expected 0 to"}},
		{"train.epochs=2", []string{"give one of them"}},
		{"optim.name=adam", []string{"expected one of", "adamw"}},
		{"data.format=tight", []string{"expected one of text, openai, sharegpt, alpaca, prompt"}},
		{"data.template=tight", []string{"expected one of alpaca, chatml, plain, zephyr"}},
		{"data.field=", []string{"is empty", "the name of the text"}},
		{"data.bytes=lots", []string{"from 1KB to 4GB"}},
		{"data.bytes=", []string{"from 1KB to 4GB"}},
		{"data.bytes=10", []string{"from 1KB to 4GB"}},
		{"data.bytes=-1MB", []string{"from 1KB to 4GB"}},
		{"data.bytes=5GB", []string{"from 1KB to 4GB"}},
		{"data.bytes=4 parsecs", []string{"from 1KB to 4GB"}},
		{"data.bytes=4mb", []string{"from 1KB to 4GB"}},
		{"data.bytes=NaNMB", []string{"from 1KB to 4GB"}},
		{"data.bytes=1e99MB", []string{"from 1KB to 4GB"}},

		{"tokenizer.train=wordpiece", []string{"expected bpe or bytes"}},
		{"tokenizer.train=", []string{"expected bpe or bytes"}},
		{"tokenizer.vocab=256", []string{"expected 257", "to 1048576"}},
		{"tokenizer.vocab=-1", []string{"expected 257", "to 1048576"}},
		{"tokenizer.vocab=1048577", []string{"expected 257", "to 1048576"}},

		{"train.steps=0", []string{"expected 1 to"}},
		{"train.steps=-10", []string{"expected 1 to"}},
		{"train.steps=2000000000000", []string{"expected 1 to 1099511627776"}},
		{"train.batch=0", []string{"expected 1 to 1048576"}},
		{"train.batch=-8", []string{"expected 1 to 1048576"}},
		{"train.batch=2000000", []string{"expected 1 to 1048576"}},
		{"train.micro_batch=3", []string{"does not divide train.batch, 8"}},
		{"train.micro_batch=-1", []string{"expected 0 to 8"}},
		{"train.micro_batch=16", []string{"expected 0 to 8"}},
		{"train.context=-1", []string{"expected 0 to 1048576"}},
		{"train.context=1048577", []string{"expected 0 to 1048576"}},
		{"train.threads=-2", []string{"expected 0 to 1024"}},
		{"train.threads=5000", []string{"expected 0 to 1024"}},
		{"train.precision=fp8", []string{"expected f32 or bf16"}},
		{"train.precision=F32", []string{"expected f32 or bf16"}},
		{"train.precision=", []string{"expected f32 or bf16"}},
		{"data.mean=[0.5]", []string{"apply only to images"}},
		{"data.std=[0.5]", []string{"apply only to images"}},
		{"data.shift=1", []string{"apply only to images"}},
		{"data.flip=true", []string{"apply only to images"}},
		{"data.prompt=q " + images, []string{"apply only to text"}},
		{"data.shift=65 " + images, []string{"expected 0 to 64 pixels"}},
		{"data.shift=-1 " + images, []string{"expected 0 to 64 pixels"}},
		{"data.mean=[1] " + images, []string{"one each for a channel"}},
		{"data.std=[0] data.mean=[1] " + images, []string{"std above 0"}},
		{"train.label_smoothing=1", []string{"0 to below 1"}},
		{"train.label_smoothing=-0.1", []string{"0 to below 1"}},
		{"train.wire=int8", []string{"expected f32 or bf16"}},
		{"train.recompute=some", []string{"none", "light", "attention", "layer"}},
		{"train.on_nonfinite=ignore", []string{"expected stop, skip or rollback"}},
		{"train.on_nonfinite=", []string{"expected stop, skip or rollback"}},
		{"train.eval_every=-1", []string{"expected 0 to"}},
		{"train.eval_tokens=-1", []string{"expected 0 to"}},
		{"train.sample=-1", []string{"expected 0 to 65536"}},
		{"train.sample=70000", []string{"expected 0 to 65536"}},

		{"optim.lr=0", []string{"expected 1e-12 to 10"}},
		{"optim.lr=-0.001", []string{"expected 1e-12 to 10"}},
		{"optim.lr=11", []string{"expected 1e-12 to 10"}},
		{"optim.min_lr=-0.5", []string{"expected 0 to 0.001"}},
		{"optim.min_lr=-2", []string{"to 0.001"}},
		{"optim.min_lr=1", []string{"to 0.001"}},
		{"optim.warm_up=-2", []string{"expected steps, 0 or more"}},
		{"optim.warm_up=101%", []string{"0% to 100%"}},
		{"optim.warm_up=some", []string{"expected steps"}},
		{"optim.schedule=steps", []string{"constant", "cosine", "linear"}},
		{"optim.schedule=", []string{"constant", "cosine", "linear"}},
		{"optim.weight_decay=-0.1", []string{"expected 0 to 10"}},
		{"optim.weight_decay=11", []string{"expected 0 to 10"}},
		{"optim.beta1=1", []string{"expected 0 to 0.9999999"}},
		{"optim.beta1=-0.1", []string{"expected 0 to 0.9999999"}},
		{"optim.beta2=1", []string{"expected 0 to 0.9999999"}},
		{"optim.beta2=-1", []string{"expected 0 to 0.9999999"}},
		{"optim.beta2_half_life=-1", []string{"expected 0 to 1e+15"}},
		{"optim.eps=0", []string{"expected 1e-30 to 1"}},
		{"optim.eps=2", []string{"expected 1e-30 to 1"}},
		{"optim.clip=-1", []string{"expected 0 to 1e+12"}},
		{"optim.clip=1e13", []string{"1e+13", "expected 0 to 1e+12"}},
		{"optim.moments=f16", []string{"expected f32 or bf16"}},
		{"optim.moments=bf16 optim.name=apollo", []string{"only adamw"}},
		{"train.weights=f16", []string{"f32", "bf16", "q8_0"}},
		{"train.weights=q8_0", []string{"expected f32 or bf16"}},
		{"optim.in_backward=true train.on_nonfinite=skip", []string{"expected stop or rollback"}},
		{"optim.rank=0", []string{"expected 1 to 4096"}},
		{"optim.rank=4097", []string{"expected 1 to 4096"}},

		{"prune.target=half", []string{"0.45x", "27M"}},
		{"prune.target=-1", []string{"0.45x"}},
		{"prune.target=1.5x", []string{"0.45x"}},
		{"prune.target=0x", []string{"0.45x"}},
		{"prune.target=0.5%", []string{"0.45x"}},
		{"prune.target=1e3", []string{"0.45x"}},
		{"prune.of=weights", []string{"expected all or prunable"}},
		{"prune.target_memory=2GiB", []string{"exclude each other"}},
		{"prune.target_memory=lots prune.target=", []string{"2GiB", "500MB"}},
		{"prune.target_memory=-1GB prune.target=", []string{"2GiB", "500MB"}},
		{"prune.target_memory=2GX prune.target=", []string{"2GiB", "500MB"}},
		{"prune.ratio={ffn: 1} prune.target=", []string{"prune.ratio.ffn is 1", "0 or more and below 1"}},
		{"prune.ratio={ffn: -0.1} prune.target=", []string{"prune.ratio.ffn is -0.1", "0 or more and below 1"}},
		{"prune.ratio={neurons: 0.5} prune.target=", []string{"neurons", "ffn", "qk", "vo"}},
		{"prune.ratio={ffn: 0.5}", []string{"exclude each other"}},
		{"prune.ratio={ffn: 0.5} prune.target= prune.kinds=[ffn]", []string{"names its kinds itself"}},
		{"prune.kinds=[neurons]", []string{"neurons", "ffn", "qk", "vo"}},
		{"prune.kinds=[ffn,ffn]", []string{"ffn"}},
		{"prune.criterion=luck", []string{"fisher", "magnitude", "random"}},
		{"prune.qk_order=random", []string{"score", "interactions", "attention"}},
		{"prune.qk_order=interactions prune.criterion=magnitude", []string{"needs prune.criterion fisher", "magnitude"}},
		{"prune.ffn_order=random", []string{"score", "refit"}},
		{"prune.allocation=fair", []string{"global", "uniform"}},
		{"prune.evaluations=0", []string{"expected 1 or more"}},
		{"prune.layout=sparse", []string{"per-head", "per-layer", "uniform"}},
		{"prune.layout=uniform prune.skip_layers=[0]", []string{"prune.skip_layers"}},
		{"prune.round_to=0", []string{"expected 1 to 65536"}},
		{"prune.round_to=65537", []string{"expected 1 to 65536"}},
		{"prune.min_keep=0", []string{"expected 1 or more"}},
		{"prune.floor=-0.1", []string{"0 to 1"}},
		{"prune.floor=1.1", []string{"0 to 1"}},
		{"prune.start=-0.1", []string{"0 or more and below 1"}},
		{"prune.start=1", []string{"0 or more and below 1"}},
		{"prune.end=0.05", []string{"prune.start (0.1) or more and below 1"}},
		{"prune.end=1", []string{"below 1"}},
		{"prune.events=0", []string{"expected 1 to 10000"}},
		{"prune.events=10001", []string{"expected 1 to 10000"}},
		{"prune.ramp=steep", []string{"cubic", "linear", "one-shot"}},
		{"prune.half_life=-1", []string{"expected 0 or more"}},
		{"prune.half_life=1e13", []string{"1e+13", "expected 0 or more"}},
		{"prune.calibration=-1", []string{"expected"}},
		{"prune.improve.basis=other", []string{"none"}},
		{"prune.improve.compensate=other", []string{"none"}},
		{"prune.improve.ridge=-1", []string{"expected"}},

		{"model.image_size=32", []string{"apply to vit alone", "llama"}},
		{"model.patch_size=4", []string{"apply to vit alone", "llama"}},
		{"model.num_channels=1", []string{"apply to vit alone", "llama"}},
		{"model.num_labels=10", []string{"apply to vit alone", "llama"}},
		{"model.distilled=true", []string{"apply to vit alone", "llama"}},
		{"model.image_size=30 model.family=vit model.kv_heads=0 model.patch_size=16", []string{"patch_size"}},
		{"model.image_size=-32 model.family=vit model.kv_heads=0", []string{"expected"}},
		{"model.patch_size=-16 model.family=vit model.kv_heads=0", []string{"expected"}},
		{"model.num_channels=2 model.family=vit model.kv_heads=0", []string{"expected"}},
		{"model.num_labels=-1 model.family=vit model.kv_heads=0", []string{"expected"}},
		{"train.patience=-1", []string{"expected 0 to"}},
		{"train.min_delta=-1", []string{"expected 0 to 100"}},
		{"train.min_delta=101", []string{"expected 0 to 100"}},
		{"new_classifier=true", []string{"without from"}},
		{"from=base", []string{"the sections model and tokenizer do not apply"}},
		{"lora.rank=-1", []string{"expected 0 (none) to 4096"}},
		{"lora.rank=5000", []string{"expected 0 (none) to 4096"}},
		{"lora.alpha=-1 lora.rank=4", []string{"expected"}},
		{"lora.targets=[heads] lora.rank=4", []string{"heads", "attention", "ffn"}},
		{"teacher.temperature=0 teacher.model=base", []string{"expected 0.1 to 100"}},
		{"teacher.temperature=101 teacher.model=base", []string{"expected 0.1 to 100"}},
		{"teacher.weight=0 teacher.model=base", []string{"expected above 0 to 1"}},
		{"teacher.weight=1.5 teacher.model=base", []string{"expected above 0 to 1"}},
		{"teacher.copy=true prune.target=", []string{"needs a run that prunes"}},
		{"teacher.copy=true teacher.model=base", []string{"expected one of them"}},

		{"checkpoint.every=-1", []string{"expected 0 or more"}},
		{"checkpoint.keep_last=0", []string{"expected 1 or more"}},
		{"checkpoint.keep_last=-3", []string{"expected 1 or more"}},
		{"checkpoint.keep_every=-1", []string{"expected 0 or more"}},
		{"data.mix=[{path: a, weight: 0}] data.path= data.synthetic=", []string{"expected a path and a weight above 0"}},
		{"logging.sample_every=-1", []string{"expected 0 or more"}},
		{"logging.prompts=[a]", []string{"logging.sample_every is 0"}},
		{"logging.layers_every=-1", []string{"expected 0 or more"}},
		{"logging.layers_every=5 optim.in_backward=true", []string{"the gradients of all"}},
		{"train.ema=1", []string{"expected 0 to below 1"}},
		{"train.ema=0.99 train.weights=bf16", []string{"averages float32 weights"}},
		{"data.max_length=-4", []string{"expected 2 to"}},
		{"data.max_length=1", []string{"expected 2 to"}},
		{"data.max_length=64 data.pack=stream", []string{"has no documents"}},
		{"data.overflow=cut data.max_length=64", []string{"expected split, truncate or drop"}},
		{"data.overflow=drop", []string{"without data.max_length"}},
		{"preference.loss=ipo", []string{"expected dpo or simpo"}},
		{"preference.loss=dpo teacher.model=base", []string{"expected one of them"}},
		{"preference.beta=-1 preference.loss=dpo", []string{"expected above 0 to 1000"}},
		{"preference.beta=0.5", []string{"without preference.loss"}},
		{"preference.margin=-2 preference.loss=simpo", []string{"expected 0 to 1000"}},
		{"preference.reference=base preference.loss=simpo", []string{"only dpo has a reference"}},
		{"out=", []string{"is empty", "expected the run directory"}},
	}
	tried := map[string]bool{}
	for _, row := range rows {
		overrides := splitOverrides(row.set)
		key, value, _ := strings.Cut(overrides[0], "=")
		tried[key] = true
		r, err := Parse([]byte(sound), overrides)
		if err == nil {
			err = r.Validate()
		}
		if !errors.Is(err, ErrConfig) {
			t.Errorf("%s: %v, expected an ErrConfig", row.set, err)
			continue
		}
		text := err.Error()
		if strings.Contains(text, "\n") || len(text) > 400 {
			t.Errorf("%s: no line: %q", row.set, text)
		}
		section, last, _ := strings.Cut(key, ".")
		wants := append([]string{section}, row.want...)
		if !strings.ContainsAny(value, "[{") && !strings.Contains(value, "e13") && row.want[0] != "exclude each other" && row.want[0] != "apply to vit alone" && row.want[0] != "apply only to images" && row.want[0] != "apply only to text" {
			wants = append(wants, value)
		}
		if value != "" {
			wants = append(wants, last)
		}
		for _, w := range wants {
			if !strings.Contains(text, w) {
				t.Errorf("%s: %q does not say %q", row.set, text, w)
			}
		}
	}
	if len(rows) < 120 {
		t.Errorf("%d rows", len(rows))
	}
	// Keys of which every value of the type makes sense.
	free := map[string]bool{
		"data.validation_path": true, "model.tied": true, "data.separator": true, "data.seed": true, "data.cache": true, "tokenizer.path": true, "train.seed": true, "prune.seed": true,
		"prune.skip_layers": true, "prune.improve.gains": true, "checkpoint.keep_best": true, "train.shard_optimizer": true, "teacher.model": true, "logging.tensorboard": true,
		"optim.seed": true,
	}
	var walk func(v reflect.Type, path string)
	walk = func(typ reflect.Type, path string) {
		for i := range typ.NumField() {
			f := typ.Field(i)
			if keyOf(f) == noKey {
				continue
			}
			at := join(path, keyOf(f))
			if f.Type.Kind() == reflect.Struct {
				walk(f.Type, at)
			} else if !tried[at] && !free[at] {
				t.Errorf("no value of %s is tried", at)
			}
		}
	}
	walk(reflect.TypeOf(Run{}), "")
}

// splitOverrides splits at the spaces before a key.
func splitOverrides(s string) (out []string) {
	for _, part := range strings.Split(s, " ") {
		key, _, ok := strings.Cut(part, "=")
		if ok && (strings.Contains(key, ".") || key == "out" || key == "from") || len(out) == 0 {
			out = append(out, part)
		} else {
			out[len(out)-1] += " " + part
		}
	}
	return out
}
