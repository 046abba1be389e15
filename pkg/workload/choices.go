package workload

import (
	"fmt"
	"math"
	"time"
	"unicode/utf8"

	"github.com/ecospa/ecospa/internal/sysmem"
	"github.com/ecospa/ecospa/pkg/bundle"
	"github.com/ecospa/ecospa/pkg/data"
	"github.com/ecospa/ecospa/pkg/prune"
	"github.com/ecospa/ecospa/pkg/tokenizer"
	"github.com/ecospa/ecospa/pkg/train"
)

// Choices is what eval --choices prints with --json. A question is answered
// by the choice with the highest log likelihood: as it is, a character, a token.
type Choices struct {
	Questions    int     `json:"questions"`
	Accuracy     float64 `json:"accuracy"`
	PerCharacter float64 `json:"accuracy_per_character"`
	PerToken     float64 `json:"accuracy_per_token"`
	Chance       float64 `json:"chance"` // accuracy of guessing
	Cut          int     `json:"cut"`    // choices that are longer than the context with their question, which lost its beginning
	Params       int     `json:"params"`
	Seconds      float64 `json:"seconds"`
	PeakRSS      int64   `json:"peak_rss"` // bytes
}

// Answer lets a model answer questions: multiple choice, or the right continuations of
// a file whose questions have one choice each. progress counts texts, choices of all
// questions; it may be nil.
func Answer(b *bundle.Bundle, on prune.Subject, questions []data.Question, progress func(done, of int64)) (fmt.Stringer, error) {
	var all []train.Continuation
	cut := 0 // that lose their beginning
	for _, q := range questions {
		for _, choice := range q.Choices {
			c := Continuation(b.Tokenizer, q.Context, choice)
			if len(c.IDs)-1 > b.Model.Context() {
				cut++
			}
			all = append(all, c)
		}
	}
	var done func(int64)
	if progress != nil {
		done = func(n int64) { progress(n, int64(len(all))) }
	}
	start := time.Now()
	if len(questions[0].Choices) == 1 {
		scores, right, err := train.Greedy(b.Model, b.Set, on.Pool, all, done)
		if err != nil {
			return nil, err
		}
		r := Continuations{Questions: len(questions), Cut: cut, Params: b.Set.Count(), Seconds: time.Since(start).Seconds()}
		r.count(scores, right)
		_, r.PeakRSS = sysmem.Resident()
		return r, nil
	}
	scores, err := train.Likelihoods(b.Model, b.Set, on.Pool, all, done)
	if err != nil {
		return nil, err
	}
	r := Choices{Questions: len(questions), Cut: cut, Params: b.Set.Count(), Seconds: time.Since(start).Seconds()}
	r.count(questions, scores, all)
	_, r.PeakRSS = sysmem.Resident()
	return r, nil
}

// count adds up the right answers; scores and continuations are those of all choices of
// all questions, one after the other.
func (r *Choices) count(questions []data.Question, scores []float64, all []train.Continuation) {
	at := 0
	for _, q := range questions {
		n := len(q.Choices)
		s, c := scores[at:at+n], all[at:at+n]
		at += n
		right := func(length func(i int) int) float64 {
			best := 0
			for i := range s {
				if s[i]/float64(length(i)) > s[best]/float64(length(best)) {
					best = i
				}
			}
			if best == q.Answer {
				return 1 / float64(len(questions))
			}
			return 0
		}
		r.Accuracy += right(func(int) int { return 1 })
		r.PerCharacter += right(func(i int) int { return utf8.RuneCountInString(q.Choices[i]) })
		r.PerToken += right(func(i int) int { return len(c[i].IDs) - c[i].From })
		r.Chance += 1 / float64(n*len(questions))
	}
}

func (r Choices) String() string {
	return fmt.Sprintf("questions      %d%s\naccuracy       %.4f (guessing %.4f)\nper character  %.4f\nper token      %.4f\nparameters     %d\n",
		r.Questions, tooLong(r.Cut), r.Accuracy, r.Chance, r.PerCharacter, r.PerToken, r.Params)
}

// tooLong says how many texts were cut.
func tooLong(cut int) string {
	if cut == 0 {
		return ""
	}
	return fmt.Sprintf(" (%d texts longer than the context lost their beginning)", cut)
}

// Continuations is what eval --choices prints with --json for questions with one
// right continuation, as LAMBADA's last words.
type Continuations struct {
	Questions  int     `json:"questions"`
	Accuracy   float64 `json:"accuracy"`   // share of continuations that greedy generation would write
	Perplexity float64 `json:"perplexity"` // exp of the mean negative log likelihood of a continuation
	Cut        int     `json:"cut"`        // texts longer than the context, which lost their beginning
	Params     int     `json:"params"`
	Seconds    float64 `json:"seconds"`
	PeakRSS    int64   `json:"peak_rss"` // bytes
}

// count adds up the results of all continuations.
func (r *Continuations) count(likelihoods []float64, right []bool) {
	sum := 0.0
	for i, l := range likelihoods {
		sum -= l
		if right[i] {
			r.Accuracy += 1 / float64(len(right))
		}
	}
	r.Perplexity = math.Exp(sum / float64(len(likelihoods)))
}

func (r Continuations) String() string {
	return fmt.Sprintf("questions   %d%s\naccuracy    %.4f (every token the likeliest)\nperplexity  %.3f a continuation\nparameters  %d\n",
		r.Questions, tooLong(r.Cut), r.Accuracy, r.Perplexity, r.Params)
}

// Continuation is a context and a choice after it, encoded as one text within the
// tokenizer's template. Judged is what differs from the context's own tokens: a token
// that spans both counts.
func Continuation(t tokenizer.Tokenizer, context, choice string) train.Continuation {
	alone := tokenizer.Opening(t, context)
	c := train.Continuation{IDs: tokenizer.Opening(t, context+choice)}
	for c.From < min(len(alone), len(c.IDs)-1) && alone[c.From] == c.IDs[c.From] {
		c.From++
	}
	c.From = max(1, c.From)
	return c
}
