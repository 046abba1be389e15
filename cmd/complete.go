package cmd

import (
	"github.com/ecospa/ecospa/configs"
	"github.com/ecospa/ecospa/internal/report"
	"github.com/ecospa/ecospa/internal/shell"
	"github.com/ecospa/ecospa/pkg/config"
	"github.com/ecospa/ecospa/pkg/coupled"
	"github.com/ecospa/ecospa/pkg/data"
	"github.com/ecospa/ecospa/pkg/export"
	"github.com/ecospa/ecospa/pkg/model"
)

// values are those of flags that take one of a list, the same in every command.
var values = map[string]func() []string{
	"criterion": coupled.Criteria, "allocation": coupled.Allocations, "layout": coupled.Layouts, "format": export.Formats, "for": export.Targets, "cpu": cpuPaths,
	"of": oneOf("all", "prunable"), "dtype": export.DTypes, "moments": oneOf("f32", "bf16"), "wire": oneOf("f32", "bf16"),
	"basis": oneOf("none", "svd", "data-svd"), "compensate": oneOf("none", "bias", "lsq"), "qk-order": coupled.QKOrders, "ffn-order": coupled.FFNOrders,
	"recompute": oneOf("none", "light", "attention", "layer"), "memory-of": oneOf("inference", "training"), "kinds": oneOf("qk", "vo", "ffn", "head"),
	"weights": oneOf("f32", "bf16", "q8_0"), "pack": oneOf("documents", "stream"), "pooling": oneOf("mean", "cls"), "sort": report.Columns, "recover": oneOf("auto", "none"),
	"template": templates, "chat-template": templates, "set": config.Keys, "log": oneOf("x", "y", "xy"), "x": oneOf("step", "tokens", "flops", "hours"),
}

// own are values of one command's flag, where another command's flag of the name has others.
var own = map[string]func() []string{
	"step --model": model.Names, "infer --model": model.Names, "step --dtype": oneOf("f32", "bf16"), "infer --dtype": oneOf("f32", "bf16"),
	"generate --dtype": oneOf("f32", "bf16"), "prune --dtype": oneOf("f32", "f16", "bf16"), "prune --recompute": oneOf("auto", "light", "attention", "layer"), "prune --sequences": oneOf("auto"),
	"eval --format": data.Formats, "prune --format": data.Formats, "embed --format": data.Formats, "prepare --format": data.Formats,
	"pretrain --config": configs.Names, "finetune --config": configs.Names, // besides files
}

var templates = oneOf("alpaca", "chatml", "plain", "zephyr")

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
var hints = shell.Hints{Values: values, Extensions: extensions, Scripts: "completion", Own: func(command, flag string) (values []string, besides bool) {
	if list := own[command+" --"+flag]; list != nil {
		values = list()
	}
	return values, flag == "config"
}}
