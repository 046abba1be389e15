package cmd

import (
	"fmt"

	"github.com/urfave/cli/v2"

	"github.com/ecospa/ecospa/internal/fault"
	"github.com/ecospa/ecospa/pkg/bundle"
	"github.com/ecospa/ecospa/pkg/param"
)

// weightsFlag is --weights; weightsOf reads it.
func weightsFlag() cli.Flag {
	return &cli.StringFlag{Name: "weights", Usage: "`TYPE` of the matrices in memory: f32, bf16 or q8_0 (int8 in blocks of 32 with a scale); default the source's if it is bf16, else f32"}
}

func weightsOf(c *cli.Context) (param.DType, error) {
	if !c.IsSet("weights") {
		return bundle.AsStored, nil
	}
	t, err := param.ParseDType(c.String("weights"))
	if err != nil {
		return "", fault.Usage(fmt.Errorf("--weights: %w", err))
	}
	return t, nil
}
