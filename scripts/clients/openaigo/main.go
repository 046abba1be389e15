// Command openaigo asks a server by OpenAI's own Go client:
//
//	go run . http://127.0.0.1:8080/v1
package main

import (
	"context"
	"errors"
	"fmt"
	"os"

	"github.com/openai/openai-go/v3"
	"github.com/openai/openai-go/v3/option"
)

func main() {
	if err := run(os.Args[1]); err != nil {
		fmt.Fprintln(os.Stderr, "openai-go:", err)
		os.Exit(1)
	}
	fmt.Println("openai-go: passed")
}

func run(base string) error {
	key := os.Getenv("ECOSPA_API_KEY")
	if key == "" {
		key = "none"
	}
	ctx, client := context.Background(), openai.NewClient(option.WithBaseURL(base), option.WithAPIKey(key))
	models, err := client.Models.List(ctx)
	if err != nil {
		return err
	}
	ask := openai.CompletionNewParams{
		Model: openai.CompletionNewParamsModel(models.Data[0].ID), MaxTokens: openai.Int(24), Temperature: openai.Float(0), Logprobs: openai.Int(2),
		Prompt: openai.CompletionNewParamsPromptUnion{OfString: openai.String("Once upon a time")},
	}
	whole, err := client.Completions.New(ctx, ask)
	if err != nil {
		return err
	}
	if n := len(whole.Choices[0].Logprobs.TokenLogprobs); n != 24 || whole.Usage.CompletionTokens != 24 {
		return fmt.Errorf("%d log-probabilities, %d tokens of usage, expected 24", n, whole.Usage.CompletionTokens)
	}
	stream, text := client.Completions.NewStreaming(ctx, ask), ""
	for stream.Next() {
		for _, c := range stream.Current().Choices {
			text += c.Text
		}
	}
	if err := stream.Err(); err != nil || text != whole.Choices[0].Text {
		return fmt.Errorf("streamed %q, whole %q (%v)", text, whole.Choices[0].Text, err)
	}
	ask.MaxTokens = openai.Int(1 << 20)
	_, err = client.Completions.New(ctx, ask)
	var failure *openai.Error
	if !errors.As(err, &failure) || failure.StatusCode != 400 || failure.Code != "context_length_exceeded" {
		return fmt.Errorf("a million tokens: %v, expected status 400 and context_length_exceeded", err)
	}
	return chat(ctx, client, models.Data[0].ID)
}

// chat asks for an answer, whole and streamed; the server has a chat template.
func chat(ctx context.Context, client openai.Client, model string) error {
	ask := openai.ChatCompletionNewParams{
		Model: model, MaxCompletionTokens: openai.Int(16), Temperature: openai.Float(0), Logprobs: openai.Bool(true), TopLogprobs: openai.Int(3),
		Messages: []openai.ChatCompletionMessageParamUnion{openai.SystemMessage("Be brief."), openai.UserMessage("Once upon a time")},
	}
	whole, err := client.Chat.Completions.New(ctx, ask)
	if err != nil {
		return err
	}
	if n := len(whole.Choices[0].Logprobs.Content); int64(n) != whole.Usage.CompletionTokens {
		return fmt.Errorf("chat: %d log-probabilities of %d tokens", n, whole.Usage.CompletionTokens)
	}
	var sum openai.ChatCompletionAccumulator
	stream := client.Chat.Completions.NewStreaming(ctx, ask)
	for stream.Next() {
		sum.AddChunk(stream.Current())
	}
	if err := stream.Err(); err != nil || sum.Choices[0].Message.Content != whole.Choices[0].Message.Content {
		return fmt.Errorf("chat: streamed %q, whole %q (%v)", sum.Choices[0].Message.Content, whole.Choices[0].Message.Content, err)
	}
	return nil
}
