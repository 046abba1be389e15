package model

import (
	"slices"
	"strings"
	"testing"
)

// TestKeysOfTheField: what is bookkeeping is read past, what nobody knows is named,
// what would change the computation is refused by name.
func TestKeysOfTheField(t *testing.T) {
	const smol = `{"architectures":["LlamaForCausalLM"],"attention_bias":false,"attention_dropout":0.0,"bos_token_id":0,"eos_token_id":[0,2],"hidden_act":"silu","hidden_size":8,"initializer_range":0.041,"intermediate_size":6,"is_llama_config":true,"max_position_embeddings":64,"model_type":"llama","num_attention_heads":4,"num_hidden_layers":1,"num_key_value_heads":2,"pretraining_tp":1,"rms_norm_eps":1e-05,"rope_interleaved":false,"rope_scaling":null,"rope_theta":100000,"tie_word_embeddings":true,"torch_dtype":"bfloat16","transformers_version":"4.40.1","transformers.js_config":{"dtype":"q4"},"use_cache":true,"vocab_size":9`
	const distil = `{"model_type":"gpt2","_num_labels":1,"n_embd":8,"n_layer":1,"n_head":2,"vocab_size":9,"id2label":{"0":"LABEL_0"},"label2id":{"LABEL_0":0},"summary_use_proj":true,"task_specific_params":{"text-generation":{"do_sample":true}},"attn_pdrop":0.1`
	for _, c := range []struct{ config, unknown, refused string }{
		{smol + `}`, "", ""},
		{distil + `}`, "", ""},
		{smol + `,"unsloth_fixed":true,"auto_map":{"AutoModel":"x.Y"},"layer_types":["full_attention"]}`, "", ""},
		{smol + `,"zoo":7,"ark":"x","nothing":null}`, "ark zoo", ""},
		{smol + `,"rope_interleaved":true}`, "", "rope_interleaved"},
		{smol + `,"layer_types":["sliding_attention"]}`, "", "layer_types"},
		{smol + `,"sliding_window":16,"use_sliding_window":false}`, "", ""},
		{smol + `,"sliding_window":64}`, "", ""},
		{smol + `,"sliding_window":63}`, "", "sliding_window"},
		{smol + `,"num_local_experts":8}`, "", "num_local_experts"},
		{smol + `,"quantization_config":{"bits":4}}`, "", "quantization_config"},
		{smol + `,"residual_multiplier":1.0,"logits_scaling":1}`, "", ""},
		{smol + `,"residual_multiplier":0.22}`, "", "residual_multiplier"},
		{distil + `,"scale_attn_by_inverse_layer_idx":true}`, "", "scale_attn_by_inverse_layer_idx"},
		{distil + `,"scale_attn_weights":false,"tie_word_embeddings":false}`, "", ""},
		{`{"model_type":"qwen3_moe"}`, "", "qwen3_moe"},
		{`{"model_type":"qwen3_5"}`, "", "qwen3_5"},
	} {
		m, err := Parse([]byte(c.config))
		if c.refused != "" {
			if err == nil || !strings.Contains(err.Error(), c.refused) {
				t.Errorf("%s: got %v, expected a refusal of %s", c.config[len(c.config)-60:], err, c.refused)
			}
			continue
		}
		if err != nil {
			t.Error(err)
			continue
		}
		if got := m.UnknownKeys(); !slices.Equal(got, strings.Fields(c.unknown)) {
			t.Errorf("unknown keys %q, expected %q", got, c.unknown)
		}
	}
}

func TestScaleOfScoresAndHead(t *testing.T) {
	m, err := Parse([]byte(`{"model_type":"gpt2","n_embd":8,"n_layer":1,"n_head":2,"vocab_size":9,"scale_attn_weights":false,"tie_word_embeddings":false}`))
	if err != nil {
		t.Fatal(err)
	}
	if a := m.Arch(); a.Scale != 1 || a.Tied {
		t.Errorf("scale %g, tied %t; expected 1, false", a.Scale, a.Tied)
	}
}

// TestLabels: id2label decides, whatever label2id has; a bare model gets its classes later.
func TestLabels(t *testing.T) {
	const vit = `{"model_type":"vit","hidden_size":8,"num_hidden_layers":1,"num_attention_heads":2,"intermediate_size":8,"image_size":4,"patch_size":2`
	m, err := Parse([]byte(vit + `,"id2label":{"0":"cat","1":"dog","2":"owl"},"label2id":{"cat":"0","dog":"1","owl":2}}`))
	if err != nil || m.Vocab() != 3 {
		t.Fatalf("%v, %v", m, err)
	}
	bare, err := Parse([]byte(vit + `,"architectures":["ViTModel"]}`))
	if err != nil {
		t.Fatal(err)
	}
	made, err := bare.(Classifier).Reclassify([]string{"a", "b", "c", "d"})
	if err != nil || made.Vocab() != 4 || made.Table().Class != "ViTForImageClassification" {
		t.Fatalf("%v, %v", made, err)
	}
}
