package kernel

import "math"

// Teacher is the model that DistillLoss learns from, as it stands before its head.
type Teacher struct {
	X, W, Bias  []float32 // its last hidden states [N, E], its head [V, E], bias [V] or nil
	Stored      Weights   // the head as it is stored, where W is nil
	E           int       // its width
	Temperature float32   // softens both distributions; 1 leaves them
	Weight      float32   // share of the teacher's term in the loss, 0 to 1
	Logits      Logits    // what it makes of its logits
}

// DistillLoss is HeadLoss with a teacher over the same vocabulary. For each row it
// gives NLL, the cross-entropy as HeadLoss does, and
//
//	KL = Temperature²·sum over the vocabulary of q·log(q/s)
//
// in nats, with q and s the softmax of the teacher's and of the student's logits
// over Temperature. The gradients are those of
// Scale·sum((1-Weight)·NLL + Weight·KL); none goes to the teacher. The teacher's
// logits exist, like the student's, for a chunk of rows at a time. A row with a
// negative target is ignored in both terms.
//
// Source: Hinton, Vinyals, Dean, https://arxiv.org/abs/1503.02531.
func DistillLoss(p *Pool, in HeadInput, o HeadOptions, t Teacher, out HeadOutput) {
	if t.E <= 0 || t.Temperature <= 0 {
		panic(badShape)
	}
	t.Logits.check()
	need(t.X, in.N*t.E)
	if t.W != nil {
		t.Stored = Weights{F32: t.W}
	}
	t.Stored.check(in.V, t.E)
	need(out.KL, in.N)
	if t.Bias != nil {
		need(t.Bias, in.V)
		t.Bias = t.Bias[:in.V]
	}
	h := head{HeadInput: in, HeadOutput: out, o: o, teacher: t}
	h.check()
	h.run(p)
}

// distillRow returns a row's two losses. The student's products z become the
// gradient if grad, else they and the teacher's, u, are lost; s and q are scratch.
func distillRow(z, u, s, q []float32, target int, o *HeadOptions, t *Teacher, grad bool) (nll, kl float32) {
	if target < 0 {
		if grad {
			clear(z)
		}
		return 0, 0
	}
	v := current.vecOps
	o.Logits.apply(z)
	t.Logits.apply(u)
	soft := 1 / t.Temperature
	v.affine(z, z, soft, 0)
	v.affine(u, u, soft, 0)
	topS, topQ := v.maximum(z), v.maximum(u)
	sumS, sumQ := v.expSum(s, z, topS), v.expSum(q, u, topQ)
	// log(q/s) = u - z + (log sumS + topS) - (log sumQ + topQ)
	d := (float64(v.dot(q, u)) - float64(v.dot(q, z))) / float64(sumQ)
	d += math.Log(float64(sumS)) + float64(topS) - math.Log(float64(sumQ)) - float64(topQ)
	v.affine(z, z, t.Temperature, 0)

	hard := HeadOptions{Scale: o.Scale * (1 - t.Weight), Smoothing: o.Smoothing}
	if o.Logits.SoftCap > 0 {
		copy(u, z) // the gradient needs them once more
	}
	nll = crossEntropyRow(z, target, &hard, grad, nil)
	if grad { // Scale·Weight·Temperature·(s - q)
		k := o.Scale * t.Weight * t.Temperature
		v.affine(s, s, k/sumS, 0)
		v.affine(q, q, -k/sumQ, 0)
		v.add(z, z, s)
		v.add(z, z, q)
		o.Logits.back(z, u)
	}
	return nll, t.Temperature * t.Temperature * float32(d)
}
