package kernel

import "testing"

// Every operation must refuse a slice that is one value too short, and shapes
// that make no sense, before it touches memory.
func TestShortSlicesPanic(t *testing.T) {
	p := NewPool(1)
	defer p.Close()
	f := func(n int) []float32 { return make([]float32, n) }
	ids := []int32{0, 1, 2}
	s := AttnShape{B: 1, T: 3, G: 2, R: 2, QK: 4, VO: 5, Scale: 1, Causal: true}
	w := s.Width() // 34
	tests := map[string]struct {
		want string
		run  func()
	}{
		"add":               {badLength, func() { Add(p, f(4), f(4), f(3)) }},
		"addrows":           {badLength, func() { AddRowsForward(p, f(12), f(12), f(5), 4, 2, 3) }},
		"addrows back":      {badLength, func() { AddRowsBackward(p, f(6), f(11), 4, 2, 3) }},
		"embed":             {badLength, func() { EmbedForward(p, f(5), f(6), ids, 2) }},
		"embed id":          {badID, func() { EmbedForward(p, f(6), f(4), ids, 2) }},
		"embed negative id": {badID, func() { EmbedForward(p, f(6), f(4), []int32{-1}, 2) }},
		"embed back id":     {badID, func() { EmbedBackward(p, f(4), f(6), ids, 2) }},
		"bias":              {badLength, func() { BiasGrad(p, f(3), f(11), 3, 4) }},
		"layernorm":         {badLength, func() { LayerNormForward(p, Rows{F32: f(12)}, f(3), f(3), f(12), f(4), f(3), 3, 4, 0) }},
		"layernorm back":    {badLength, func() { LayerNormBackward(p, f(12), f(12), f(12), f(4), f(3), f(2), 3, 4) }},
		"layernorm grad":    {badLength, func() { LayerNormGrad(p, f(4), f(3), f(12), f(12), f(3), f(3), 3, 4) }},
		"rmsnorm":           {badLength, func() { RMSNormForward(p, Rows{F32: f(12)}, f(2), f(12), f(4), 3, 4, RMSNorm{}) }},
		"rmsnorm back":      {badLength, func() { RMSNormBackward(p, f(12), f(11), f(12), f(4), f(3), 3, 4, RMSNorm{}) }},
		"rmsnorm grad":      {badLength, func() { RMSNormGrad(p, f(3), f(12), f(12), f(3), 3, 4) }},
		"qknorm":            {badLength, func() { QKNormForward(p, f(3*w), f(2), Rows{F32: f(3 * w)}, f(s.QK), f(s.QK), s, QKNorm{}) }},
		"qknorm gains":      {badLength, func() { QKNormForward(p, f(3*w), f(99), Rows{F32: f(3 * w)}, f(s.QK-1), f(s.QK), s, QKNorm{}) }},
		"qknorm back":       {badLength, func() { QKNormBackward(p, f(3*w), f(3*w-1), Rows{F32: f(3 * w)}, f(s.QK), f(s.QK), f(99), s, QKNorm{}) }},
		"qknorm over":       {badShape, func() { QKNormForward(p, f(3*w), f(99), Rows{F32: f(3 * w)}, f(s.QK), f(s.QK), s, QKNorm{Over: -1}) }},
		"geglu":             {badLength, func() { GeGLUForward(p, Rows{F32: f(6)}, Rows{F32: f(11)}, 2, 3, true) }},
		"geglu back":        {badLength, func() { GeGLUBackward(p, Rows{F32: f(12)}, f(5), Rows{F32: f(12)}, 2, 3, true) }},
		"softcap":           {badShape, func() { SoftCapForward(p, f(4), f(4), 0) }},
		"softcap back":      {badLength, func() { SoftCapBackward(p, f(4), f(4), f(3), 1) }},
		"addscaled":         {badLength, func() { AddScaled(p, f(4), f(4), f(3), 1) }},
		"addrows at":        {badID, func() { AddRowsAt(p, f(6), f(6), f(4), ids, 2) }},
		"attention window": {badShape, func() {
			AttentionForward(p, Rows{F32: f(60)}, f(12), Rows{F32: f(3 * w)}, nil, AttnShape{B: 1, T: 3, G: 1, R: 1, QK: 1, VO: 1, Window: -1})
		}},
		"logits": {badShape, func() {
			HeadLoss(p, HeadInput{X: f(1), W: f(1), Targets: []int32{0}, N: 1, E: 1, V: 1}, HeadOptions{Logits: Logits{SoftCap: -1}}, HeadOutput{NLL: f(1)})
		}},
		"gelu":          {badLength, func() { GELUForward(p, Rows{F32: f(4)}, Rows{F32: f(3)}, 4, true) }},
		"gelu back":     {badLength, func() { GELUBackward(p, Rows{F32: f(4)}, f(4), Rows{F32: f(3)}, true) }},
		"swiglu":        {badLength, func() { SwiGLUForward(p, Rows{F32: f(6)}, Rows{F32: f(11)}, 2, 3) }},
		"swiglu back":   {badLength, func() { SwiGLUBackward(p, Rows{F32: f(12)}, f(5), Rows{F32: f(12)}, 2, 3) }},
		"rope table":    {badLength, func() { RoPETable(f(5), f(6), f(2), 3, 1) }},
		"rope":          {badLength, func() { RoPEForward(p, f(3*w), f(3*w), Rotary{f(6), f(5), s.QK / 2, false}, s, nil) }},
		"rope position": {badLength, func() { RoPEForward(p, f(3*w), f(3*w), Rotary{f(6), f(6), s.QK / 2, false}, s, []int32{0, 1, 3}) }},
		"rope per head": {badLength, func() { RoPEBackward(p, f(3*w), f(3*w), Rotary{f(6), f(6), s.QK / 2, true}, s, nil) }},
		"rope pairs": {badShape, func() {
			RoPEForward(p, f(99), f(99), Rotary{f(9), f(9), 2, false}, AttnShape{B: 1, T: 1, G: 1, R: 1, QK: 3, VO: 1}, nil)
		}},
		"rope positions":  {badLength, func() { RoPEAt(p, f(3*w), f(3*w), Rotary{f(6), f(6), s.QK / 2, false}, s, nil) }},
		"rope at":         {badLength, func() { RoPEAt(p, f(3*w), f(3*w), Rotary{f(6), f(6), s.QK / 2, false}, s, []int32{1}) }},
		"attention":       {badLength, func() { AttentionForward(p, Rows{F32: f(60)}, f(11), Rows{F32: f(3 * w)}, nil, s) }},
		"attention back":  {badLength, func() { AttentionBackward(p, f(3*w), f(60), Rows{F32: f(59)}, f(12), Rows{F32: f(3 * w)}, nil, s) }},
		"attention shape": {badShape, func() { AttentionForward(p, Rows{F32: f(60)}, f(12), Rows{F32: f(3 * w)}, nil, AttnShape{B: 1, T: 3}) }},
		"cache":           {badLength, func() { PagedAttention(p, f(60), f(3*w-1), f(24), f(30), s, 3, []Span{{N: 3, Pages: []int32{0}}}) }},
		"cache position": {badCache, func() {
			PagedAttention(p, f(60), f(3*w), f(24), f(30), s, 3, []Span{{N: 3, Pos: 1, Pages: []int32{0}}})
		}},
		"cache page":        {badCache, func() { PagedAttention(p, f(60), f(3*w), f(23), f(30), s, 3, []Span{{N: 3, Pages: []int32{0}}}) }},
		"decode":            {badLength, func() { PagedAttention(p, f(59), f(3*w), f(24), f(30), s, 3, []Span{{N: 3, Pages: []int32{0}}}) }},
		"decode not causal": {badShape, func() { PagedAttention(p, f(60), f(3*w), f(24), f(30), AttnShape{}, 3, nil) }},
		"head": {badLength, func() {
			HeadLoss(p, HeadInput{X: f(6), W: f(7), Targets: ids, N: 3, E: 2, V: 4}, HeadOptions{}, HeadOutput{NLL: f(3)})
		}},
		"head dx": {badLength, func() {
			HeadLoss(p, HeadInput{X: f(6), W: f(8), Targets: ids, N: 3, E: 2, V: 4}, HeadOptions{}, HeadOutput{NLL: f(3), DX: f(5)})
		}},
		"head target": {badID, func() {
			HeadLoss(p, HeadInput{X: f(6), W: f(4), Targets: ids, N: 3, E: 2, V: 2}, HeadOptions{}, HeadOutput{NLL: f(3)})
		}},
		"gatedot":         {badLength, func() { GateDot(p, f(3), Rows{F32: f(12)}, f(12), 2, 2, 3, 0, 2, 1) }},
		"gatedot columns": {badShape, func() { GateDot(p, f(4), Rows{F32: f(12)}, f(12), 2, 2, 3, 2, 2, 1) }},
		"patches":         {badShape, func() { Patches(p, f(12), f(12), 1, 1, 3, 4, 2) }},
		"patches short":   {badLength, func() { Patches(p, f(16), f(15), 1, 1, 4, 4, 2) }},
		"distill": {badLength, func() {
			DistillLoss(p, HeadInput{X: f(6), W: f(8), Targets: ids, N: 3, E: 2, V: 4}, HeadOptions{}, Teacher{X: f(6), W: f(7), E: 2, Temperature: 1}, HeadOutput{NLL: f(3), KL: f(3)})
		}},
		"temperature": {badShape, func() {
			DistillLoss(p, HeadInput{X: f(6), W: f(8), Targets: ids, N: 3, E: 2, V: 4}, HeadOptions{}, Teacher{X: f(6), W: f(8), E: 2}, HeadOutput{NLL: f(3), KL: f(3)})
		}},
		"adamw16": {badLength, func() { AdamW16Step(p, f(4), f(4), f(3), 0, AdamWArgs{Step: 1}) }},
		"adamw":   {badLength, func() { AdamWStep(p, f(4), f(4), f(4), f(3), AdamWArgs{Step: 1}) }},
	}
	for name, c := range tests {
		func() {
			defer func() {
				if got := recover(); got != c.want {
					t.Errorf("%s: panic %v, want %q", name, got, c.want)
				}
			}()
			c.run()
		}()
	}
}
