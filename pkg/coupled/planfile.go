package coupled

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
)

// maxPlan bounds a plan file in bytes.
const maxPlan = 256 << 20

// WritePlan writes the plan as indented JSON.
func WritePlan(w io.Writer, p *Plan) error {
	text, err := json.MarshalIndent(p, "", " ")
	if err != nil {
		return fmt.Errorf("write plan: %w", err)
	}
	_, err = w.Write(append(text, '\n'))
	return err
}

// ReadPlan reads what WritePlan wrote. An unknown key, another version, or
// anything after the plan is an error. What it returns has not been compared with a
// model yet: see Plan.Validate.
func ReadPlan(r io.Reader) (*Plan, error) {
	text, err := io.ReadAll(io.LimitReader(r, maxPlan+1))
	if err != nil {
		return nil, fmt.Errorf("read plan: %w", err)
	}
	if len(text) > maxPlan {
		return nil, fmt.Errorf("%w: the file is larger than %d bytes", ErrPlan, maxPlan)
	}
	var head struct {
		Version *int `json:"version"`
	}
	if err := json.Unmarshal(text, &head); err != nil {
		return nil, fmt.Errorf("%w: read plan: %w", ErrPlan, err)
	}
	if head.Version == nil || *head.Version != PlanVersion {
		return nil, fmt.Errorf("%w: the file is not a plan of version %d", ErrPlan, PlanVersion)
	}
	dec := json.NewDecoder(bytes.NewReader(text))
	dec.DisallowUnknownFields()
	p := new(Plan)
	if err := dec.Decode(p); err != nil {
		return nil, fmt.Errorf("%w: read plan: %w", ErrPlan, err)
	}
	return p, nil
}
