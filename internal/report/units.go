package report

import (
	"fmt"
	"strconv"

	"github.com/ecospa/ecospa/pkg/prune"
)

// Importance draws the scores of all units, layer by layer.
func Importance(r *prune.Importance) Chart {
	c := Chart{Title: "Importance of units, criterion " + r.Criterion, X: "layer", Unit: "score", LogY: true}
	for _, row := range r.Rows {
		c.Bands = append(c.Bands, Band{Name: strconv.Itoa(row.Layer), Group: string(row.Kind), Values: row.Scores})
	}
	return c
}

// Sensitivity draws the loss against the kept share of each kind.
func Sensitivity(r *prune.Sensitivities) Chart {
	c := Chart{Title: "Loss against the fraction of units kept in every layer", X: "kept", Unit: "loss, nats per token"}
	for _, k := range r.Kinds {
		c.Curves = append(c.Curves, Curve{Name: string(k.Kind), Style: len(c.Curves), X: k.Kept, Y: k.Loss, Dots: true})
	}
	return c
}

// Units measures the units of a job's model: how their scores are distributed, or the
// loss against the kept share of each kind. Both come with their drawing.
func Units(job *prune.Job, sensitivity bool) (fmt.Stringer, Chart, error) {
	if sensitivity {
		r, err := job.Sensitivity()
		if err != nil {
			return nil, Chart{}, err
		}
		return r, Sensitivity(r), nil
	}
	r, err := job.Importance()
	if err != nil {
		return nil, Chart{}, err
	}
	return r, Importance(r), nil
}
