package model

import (
	"bytes"
	"encoding/json"
	"strings"
)

// harmless are keys of config.json that say nothing about what a model computes at
// inference and in fine-tuning here: bookkeeping, generation defaults, labels of
// tasks, dropout, choices of an implementation.
var harmless = set(`
	_name_or_path _commit_hash transformers_version transformers.js_config auto_map model_name model_max_length
	_sliding_window_pattern _num_labels num_labels id2label label2id problem_type finetuning_task task_specific_params summary_activation summary_first_dropout
	summary_hidden_size summary_proj_to_labels summary_type summary_use_proj n_ctx
	use_cache output_attentions output_hidden_states output_past output_scores return_dict return_dict_in_generate use_return_dict
	_attn_implementation _attn_implementation_autoset attn_implementation _flash_attn_2_enabled use_flash_attention use_flash_attention_2
	use_flash_attn flash_attn gradient_checkpointing use_bfloat16 torchscript tf_legacy_loss reorder_and_upcast_attn fused_rms_norm fuse_norm
	unsloth_fixed unsloth_version unsloth_training
	pad_token_id sep_token_id unk_token_id cls_token_id mask_token_id decoder_start_token_id forced_bos_token_id forced_eos_token_id
	pad_token bos_token eos_token unk_token prefix suppress_tokens begin_suppress_tokens bad_words_ids
	do_sample max_length min_length max_new_tokens temperature top_k top_p typical_p repetition_penalty length_penalty num_beams num_beam_groups
	num_return_sequences no_repeat_ngram_size encoder_no_repeat_ngram_size early_stopping diversity_penalty remove_invalid_values
	exponential_decay_length_penalty generation_config
	attn_pdrop embd_pdrop resid_pdrop dropout attention_dropout hidden_dropout hidden_dropout_prob attention_probs_dropout_prob resid_dropout
	embd_dropout classifier_dropout embedding_dropout activation_dropout layerdrop
	is_decoder is_llama_config pretraining_tp tokenizer_class processor_class pruned_heads chunk_size_feed_forward
	drop_path_rate apply_layernorm reshape_hidden_states out_features out_indices stage_names
	classifier_pooling mlp_dropout deterministic_flash_attn reference_compile repad_logits_with_grad sparse_prediction sparse_pred_ignore_index
	per_layer_config max_window_layers initializer_cutoff_factor router_aux_loss_coef output_router_logits encoder_stride pooler_output_size pooler_act
	initializer_range bos_token_id eos_token_id architectures model_type
`)

func set(names string) map[string]bool {
	m := map[string]bool{}
	for _, n := range strings.Fields(names) {
		m[n] = true
	}
	return m
}

// decisive are keys that change what a model computes, in some family, with the
// values that change nothing. A family that computes by a key has it as a field;
// elsewhere another value is refused.
var decisive = map[string]func(value []byte) bool{
	"alibi": never, "use_alibi": never, "attn_logit_softcapping": never, "final_logit_softcapping": never, "query_pre_attn_scalar": never,
	"embedding_multiplier": one, "attention_multiplier": never, "residual_multiplier": one, "logits_scaling": one,
	"scale_emb": one, "scale_depth": never, "dim_model_base": never, "mup_denominator": never,
	"partial_rotary_factor": one, "rotary_pct": one, "rotary_dim": never, "rotary_ndims": never, "rope_interleaved": never, "rope_interleave": never,
	"rope_local_base_freq": never, "global_rope_theta": never, "local_rope_theta": never, "original_max_position_embeddings": harmlessly,
	"no_rope_layers": ones, "no_rope_layer_interval": harmlessly,
	"sliding_window": never, "use_sliding_window": never, "sliding_window_pattern": never, "local_attention": never, "attention_chunk_size": never,
	"layer_types": full, "attn_temperature_tuning": never, "attention_sinks": never, "clip_qkv": never, "clip_qkv_max": never,
	"qk_layernorm": never, "use_qk_norm": never, "qk_norm": never, "use_parallel_residual": never, "parallel_attn": never, "parallel_residual": never,
	"scale_attn_by_inverse_layer_idx": never, "add_cross_attention": never, "cross_attention_hidden_size": never, "is_encoder_decoder": never,
	"use_bidirectional_attention": never, "is_causal": truly, "causal": truly, "position_embedding_type": positions, "normalization_function": never,
	"num_experts": never, "num_local_experts": never, "n_routed_experts": never, "num_experts_per_tok": never, "moe_intermediate_size": never,
	"moe_num_experts": never, "n_shared_experts": never, "decoder_sparse_step": harmlessly, "norm_topk_prob": harmlessly,
	"kv_lora_rank": never, "q_lora_rank": never, "qk_rope_head_dim": never, "v_head_dim": never,
	"linear_num_value_heads": never, "linear_num_key_heads": never, "full_attention_interval": never, "mamba_d_state": never, "ssm_cfg": never, "state_size": never,
	"num_kv_shared_layers": never, "hidden_size_per_layer_input": never, "altup_num_inputs": never,
	"quantization_config": never, "quantization": never, "compression_config": never,
	"vision_config": never, "text_config": never, "audio_config": never, "encoder": never, "type_vocab_size": never, "word_embed_proj_dim": never,
	"hidden_activation": never, "embedding_size": never, "use_swiglu_ffn": never, "layerscale_value": never,
}

func never([]byte) bool      { return false }
func harmlessly([]byte) bool { return true }

func one(v []byte) bool   { var x float64; return json.Unmarshal(v, &x) == nil && x == 1 }
func truly(v []byte) bool { return string(v) == "true" }

// positions: what a family with rotary positions or learned ones may call itself.
func positions(v []byte) bool { return string(v) == `"absolute"` || string(v) == `"rope"` }

// ones: every element of a list is 1.
func ones(v []byte) bool {
	var list []float64
	if json.Unmarshal(v, &list) != nil {
		return false
	}
	for _, x := range list {
		if x != 1 {
			return false
		}
	}
	return true
}

// full: every layer has full attention.
func full(v []byte) bool {
	return !bytes.Contains(bytes.ReplaceAll(v, []byte(`"full_attention"`), nil), []byte(`"`)) && v[0] == '['
}
