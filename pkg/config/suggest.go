package config

import (
	"fmt"
	"reflect"
	"sort"
	"strings"
)

// unknown is the message about a key that a section does not have: the key that
// may be meant, or the keys that there are.
func (d decoder) unknown(section reflect.Type, path, key string) string {
	keys := keysOf(section)
	msg := fmt.Sprintf("unknown key %s in %s", quote(key), name(path))
	if here := aliases[strings.ToLower(key)]; here != "" && d.has(here) {
		return fmt.Sprintf("%s; here it is %s", msg, here)
	}
	if near := nearest(key, keys); near != "" {
		return fmt.Sprintf("%s, did you mean %s? Its keys are %s", msg, join(path, near), strings.Join(keys, ", "))
	}
	if there := d.elsewhere(key); len(there) > 0 {
		return fmt.Sprintf("%s, did you mean %s? Its keys are %s", msg, strings.Join(there, " or "), strings.Join(keys, ", "))
	}
	return fmt.Sprintf("%s, expected one of %s", msg, strings.Join(keys, ", "))
}

// aliases are the names that other programs have for keys of a run file.
var aliases = map[string]string{
	"hidden_size": "model.width", "n_embd": "model.width", "d_model": "model.width", "dim": "model.width", "embed_dim": "model.width",
	"num_hidden_layers": "model.layers", "n_layer": "model.layers", "n_layers": "model.layers", "num_layers": "model.layers", "depth": "model.layers",
	"num_attention_heads": "model.heads", "n_head": "model.heads", "n_heads": "model.heads", "num_heads": "model.heads",
	"num_key_value_heads": "model.kv_heads", "n_kv_heads": "model.kv_heads", "num_query_groups": "model.kv_heads",
	"intermediate_size": "model.ffn", "n_inner": "model.ffn", "ffn_dim": "model.ffn", "d_ff": "model.ffn", "hidden_dim": "model.ffn", "mlp_dim": "model.ffn",
	"vocab_size": "model.vocab", "padded_vocab_size": "model.vocab", "n_vocab": "model.vocab", "model_type": "model.family", "tie_word_embeddings": "model.tied",
	"max_position_embeddings": "model.context", "n_positions": "model.context", "n_ctx": "model.context", "model_name": "model.name",
	"block_size": "train.context", "seq_len": "train.context", "seq_length": "train.context", "sequence_length": "train.context", "max_seq_length": "train.context", "dpo_beta": "preference.beta", "pref_beta": "preference.beta", "pref_loss": "preference.loss", "simpo_gamma": "preference.margin", "ref_model": "preference.reference", "ema_decay": "train.ema", "cutoff_len": "train.context",
	"max_steps": "train.steps", "max_iters": "train.steps", "train_iters": "train.steps", "total_steps": "train.steps", "num_steps": "train.steps",
	"num_train_epochs": "train.epochs", "num_epochs": "train.epochs", "max_epochs": "train.epochs",
	"global_batch_size": "train.batch", "batch_size": "train.batch", "train_batch_size": "train.batch",
	"micro_batch_size": "train.micro_batch", "per_device_train_batch_size": "train.micro_batch", "device_batch_size": "train.micro_batch",
	"gradient_accumulation_steps": "train.micro_batch", "dtype": "train.precision", "bf16": "train.precision", "num_threads": "train.threads", "n_threads": "train.threads",
	"gradient_checkpointing": "train.recompute", "activation_checkpointing": "train.recompute", "eval_steps": "train.eval_every", "eval_interval": "train.eval_every",
	"eval_iters": "train.eval_tokens", "label_smoothing_factor": "train.label_smoothing", "early_stopping_patience": "train.patience", "random_seed": "train.seed",
	"learning_rate": "optim.lr", "max_lr": "optim.lr", "min_learning_rate": "optim.min_lr", "warmup_steps": "optim.warm_up", "lr_warmup_steps": "optim.warm_up", "warmup_iters": "optim.warm_up",
	"warmup_ratio": "optim.warm_up", "warmup": "optim.warm_up", "lr_scheduler_type": "optim.schedule", "lr_scheduler": "optim.schedule", "adam_beta1": "optim.beta1", "adam_beta2": "optim.beta2",
	"adam_epsilon": "optim.eps", "max_grad_norm": "optim.clip", "grad_clip": "optim.clip", "gradient_clip_val": "optim.clip", "clip_grad_norm": "optim.clip", "optimizer": "optim.name",
	"save_steps": "checkpoint.every", "save_interval": "checkpoint.every", "save_total_limit": "checkpoint.keep_last", "load_best_model_at_end": "checkpoint.keep_best",
	"output_dir": "out", "out_dir": "out", "base_model": "from", "model_name_or_path": "from", "init_from": "from", "lora_r": "lora.rank", "lora_alpha": "lora.alpha", "r": "lora.rank",
	"target_modules": "lora.targets", "lora_target_modules": "lora.targets", "dataset": "data.path", "train_file": "data.path", "data_path": "data.path", "dataset_path": "data.path",
	"validation_file": "data.validation_path", "val_split": "data.validation", "val_set_size": "data.validation", "validation_split": "data.validation", "text_field": "data.field",
	"dataset_text_field": "data.field", "packing": "data.pack", "sparsity": "prune.target", "pruning_ratio": "prune.ratio", "sparsity_ratio": "prune.ratio",
}

// has reports whether there is a key of a path.
func (d decoder) has(path string) bool {
	t := d.root
	for key := range strings.SplitSeq(path, ".") {
		if t.Kind() != reflect.Struct {
			return false
		}
		f, ok := field(reflect.New(t).Elem(), key)
		if !ok {
			return false
		}
		t = f.Type()
	}
	return true
}

func keysOf(t reflect.Type) (keys []string) {
	for i := range t.NumField() {
		if key := keyOf(t.Field(i)); key != noKey {
			keys = append(keys, key)
		}
	}
	sort.Strings(keys)
	return keys
}

// elsewhere lists the paths of keys of that name in other sections.
func (d decoder) elsewhere(key string) (paths []string) {
	var walk func(t reflect.Type, path string)
	walk = func(t reflect.Type, path string) {
		for i := range t.NumField() {
			f := t.Field(i)
			at := join(path, keyOf(f))
			if keyOf(f) == key && key != noKey {
				paths = append(paths, at)
			}
			if f.Type.Kind() == reflect.Struct {
				walk(f.Type, at)
			}
		}
	}
	walk(d.root, "")
	return paths
}

// nearest is the key that a slip of the fingers turns into what was written:
// one edit for short keys, two for longer ones. "" when none is near.
func nearest(key string, keys []string) string {
	best, limit := "", min(2, (len(key)+1)/3)
	for _, k := range keys {
		if d := edits(key, k); d <= limit {
			best, limit = k, d-1
		}
	}
	return best
}

// edits is the number of letters to insert, remove, change or swap with a
// neighbour to turn a into b (optimal string alignment).
func edits(a, b string) int {
	if len(a) > 40 || len(b) > 40 {
		return 40
	}
	var rows [3][42]int // the row before the last, the last, the present one
	for j := range len(b) + 1 {
		rows[1][j] = j
	}
	for i := 1; i <= len(a); i++ {
		rows[2][0] = i
		for j := 1; j <= len(b); j++ {
			change := 1
			if a[i-1] == b[j-1] {
				change = 0
			}
			n := min(rows[1][j]+1, rows[2][j-1]+1, rows[1][j-1]+change)
			if i > 1 && j > 1 && a[i-1] == b[j-2] && a[i-2] == b[j-1] {
				n = min(n, rows[0][j-2]+1)
			}
			rows[2][j] = n
		}
		rows[0], rows[1] = rows[1], rows[2]
	}
	return rows[1][len(b)]
}
