package cmd

import (
	"github.com/ecospa/ecospa/internal/report"
	"github.com/ecospa/ecospa/internal/shell"
	"github.com/ecospa/ecospa/pkg/coupled"
	"github.com/ecospa/ecospa/pkg/data"
	"github.com/ecospa/ecospa/pkg/export"
	"github.com/ecospa/ecospa/pkg/model"
)

// values are those of flags that take one of a list, the same in every command.
var values = map[string]func() []string{
	"criterion": coupled.Criteria, "allocation": coupled.Allocations, "layout": coupled.Layouts, "format": export.Formats, "for": export.Targets, "cpu": cpuPaths,
	"of": oneOf("all", "prunable"), "dtype": export.DTypes, "moments": oneOf("f32", "bf16"), "wire": oneOf("f32", "bf16"),
	"basis": oneOf("none", "svd", "data-svd"), "compensate": oneOf("none", "bias", "lsq"), "qk-order": oneOf("score", "interactions", "attention"),
	"recompute": oneOf("none", "light", "attention", "layer"), "memory-of": oneOf("inference", "training"), "kinds": oneOf("qk", "vo", "ffn", "head"),
}

func oneOf(list ...string) func() []string { return func() []string { return list } }

// extensions are those of the files that a flag takes besides directories; flags that
// are not here take none.
var extensions = map[string]func() []string{
	"config": oneOf(".yaml", ".yml"), "data": data.Extensions, "other-data": data.Extensions, "images": oneOf(".csv", ".gz"), "images-test": oneOf(".csv", ".gz"),
	"model": oneOf(".gguf"), "from": oneOf(".gguf"), "plan": oneOf(".json"), "choices": oneOf(".jsonl"), "plot": func() []string { return report.Formats },
	"graph": oneOf(".svg", ".dot"), "tls-cert": oneOf(".pem", ".crt"), "tls-key": oneOf(".pem", ".key"), "scores": nil, "save-scores": nil, "logits": oneOf(".json"),
	"out": oneOf(".html", ".gguf", ".onnx"), "png": oneOf(),
}

// hints are what completion knows of flags.
var hints = shell.Hints{Values: values, Extensions: extensions, Scripts: "completion", Own: func(command, flag string) []string {
	if flag == "model" && (command == "step" || command == "infer") {
		return model.Names()
	}
	return nil
}}
