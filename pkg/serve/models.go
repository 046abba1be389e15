package serve

import (
	"fmt"
	"net/http"
	"strings"
	"unicode/utf8"
)

type modelCard struct {
	ID      string `json:"id"`
	Object  string `json:"object"`
	Created int64  `json:"created"`
	OwnedBy string `json:"owned_by"`
	MaxLen  int    `json:"max_model_len"`
}

func (m *Model) card() modelCard {
	return modelCard{ID: m.ID, Object: "model", Created: m.Created.Unix(), OwnedBy: "ecospa", MaxLen: m.context()}
}

func (s *Server) models(m *Model, w *response, _ *http.Request) error {
	w.json(200, map[string]any{"object": "list", "data": []modelCard{m.card()}})
	return nil
}

func (s *Server) oneModel(m *Model, w *response, r *http.Request) error {
	if id := r.PathValue("id"); id != m.ID {
		return &apiError{status: 404, kind: "invalid_request_error", code: "model_not_found", message: fmt.Sprintf("there is no model %q here, only %q", id, m.ID)}
	}
	w.json(200, m.card())
	return nil
}

// tokenizerInfo is what lm-evaluation-harness asks for instead of a tokenizer of its own.
func (s *Server) tokenizerInfo(m *Model, w *response, _ *http.Request) error {
	null := func(s string) any {
		if s == "" {
			return nil
		}
		return s
	}
	info := map[string]any{"bos_token": null(m.BOS), "eos_token": null(m.EOS), "pad_token": null(m.Pad), "chat_template": nil}
	if m.Chat != nil {
		info["chat_template"] = m.Chat.Source()
	}
	w.json(200, info)
	return nil
}

func (s *Server) tokenize(m *Model, w *response, r *http.Request) error {
	q := struct {
		Prompt  *string `json:"prompt"`
		Special *bool   `json:"add_special_tokens"` // default true
	}{}
	if err := readJSON(r, &q); err != nil {
		return err
	}
	if q.Prompt == nil {
		return bad("prompt", "prompt is missing")
	}
	ids := []int32{}
	front, back := m.Tokenizer.Template()
	if q.Special == nil || *q.Special {
		ids = append(ids, front...)
	}
	ids = m.Tokenizer.Encode(ids, []byte(*q.Prompt))
	if q.Special == nil || *q.Special {
		ids = append(ids, back...)
	}
	w.json(200, map[string]any{"tokens": ids, "count": len(ids), "max_model_len": m.context()})
	return nil
}

func (s *Server) detokenize(m *Model, w *response, r *http.Request) error {
	q := struct {
		Tokens []int32 `json:"tokens"`
	}{}
	if err := readJSON(r, &q); err != nil {
		return err
	}
	text, err := m.Tokenizer.Decode(nil, q.Tokens)
	if err != nil {
		return bad("tokens", strings.TrimPrefix(err.Error(), "tokenizer: "))
	}
	w.json(200, map[string]string{"prompt": strings.ToValidUTF8(string(text), string(utf8.RuneError))})
	return nil
}
