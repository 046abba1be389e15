package kernel

import "math"

// Preference says how pairs of answers to one prompt are judged by their log-likelihoods.
// The reward of an answer y is
//
//	r = Beta·(log p(y) - log p_reference(y))      (DPO, https://arxiv.org/abs/2305.18290)
//	r = Beta·log p(y) / tokens of y               (Mean: SimPO, https://arxiv.org/abs/2405.14734)
//
// and a pair's loss -log sigmoid(r of the chosen - r of the rejected - Margin).
type Preference struct {
	T      int     // tokens of a sequence
	Beta   float32 // above 0
	Margin float32
	Mean   bool
}

// PreferenceRows are the tokens of sequences that lie two and two: in the first of two are
// chosen answers, in the second, at the same places, the rejected ones. All are [N].
type PreferenceRows struct {
	// Pairs is the column in which the token's pair begins, of tokens that belong to an
	// answer; -1 for others. Pairs lie one after the other.
	Pairs []int32
	NLL   []float32 // of each token, nats
	// Reference holds the reference's log-likelihood of each answer, at the column where its
	// pair begins; it is not read with Preference.Mean.
	Reference []float32
	// Rewards gets each answer's reward, at the column where its pair begins, and 0 elsewhere.
	Rewards []float32
	// Factors gets the gradient of the summed loss by each token's NLL.
	Factors []float32
}

// Judge fills Rewards and Factors and returns the sum of the pairs' losses. It panics
// unless there are two sequences of the same pairs each time.
func (s Preference) Judge(r PreferenceRows) (loss float64) {
	n := len(r.NLL)
	if s.T < 1 || n%(2*s.T) != 0 || !(s.Beta > 0) {
		panic(badShape)
	}
	need(r.Pairs, n)
	needs(n, r.Reference, r.Rewards, r.Factors)
	clear(r.Rewards[:n])
	clear(r.Factors[:n])
	for lo := 0; lo < n; lo += 2 * s.T {
		loss += s.judgeTwo(r, lo)
	}
	return loss
}

// judgeTwo judges the pairs of the two sequences from token lo on.
func (s Preference) judgeTwo(r PreferenceRows, lo int) (loss float64) {
	mid, end := lo+s.T, lo+2*s.T
	chosen, rejected := s.answer(r, lo, mid), s.answer(r, mid, end)
	for ; chosen.column >= 0 && chosen.column == rejected.column; chosen, rejected = s.answer(r, chosen.to, mid), s.answer(r, rejected.to, end) {
		at := [2]int{lo + chosen.column, mid + chosen.column}
		good, goodBy := s.reward(chosen, r.Reference[at[0]])
		bad, badBy := s.reward(rejected, r.Reference[at[1]])
		r.Rewards[at[0]], r.Rewards[at[1]] = float32(good), float32(bad)
		z := good - bad - float64(s.Margin)
		loss += SoftPlus(-z)
		k := 1 / (1 + math.Exp(z)) // the gradient of the loss by -z
		r.fill(chosen, k*goodBy)
		r.fill(rejected, -k*badBy)
	}
	if chosen.column != rejected.column {
		panic(badShape)
	}
	return loss
}

// SoftPlus is log(1 + exp(x)).
func SoftPlus(x float64) float64 { return math.Log1p(math.Exp(-math.Abs(x))) + max(x, 0) }

// answer is the tokens of one answer.
type answer struct {
	column, from, to int // column is -1 where there is no further answer
	nll              float64
	tokens           int
}

// answer is the first answer in tokens from to end.
func (s Preference) answer(r PreferenceRows, from, end int) answer {
	a := answer{column: -1, from: from, to: end}
	for i := from; i < end; i++ {
		switch c := int(r.Pairs[i]); {
		case c < 0:
		case c >= s.T:
			panic(badID)
		case a.column >= 0 && c != a.column:
			a.to = i
			return a
		default:
			a.column, a.nll, a.tokens = c, a.nll+float64(r.NLL[i]), a.tokens+1
		}
	}
	return a
}

// reward is an answer's reward, and its change with the log-likelihood of a token.
func (s Preference) reward(a answer, reference float32) (reward, by float64) {
	by = float64(s.Beta)
	if s.Mean {
		by /= float64(a.tokens)
		return -by * a.nll, by
	}
	return by * (-a.nll - float64(reference)), by
}

func (r PreferenceRows) fill(a answer, factor float64) {
	for i := a.from; i < a.to; i++ {
		if int(r.Pairs[i]) == a.column {
			r.Factors[i] = float32(factor)
		}
	}
}
