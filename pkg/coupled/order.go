package coupled

import "sort"

// Orders in which the qk units of a head, or the feed-forward channels of a layer, may go.
const (
	OrderScore        = "score"        // by the criterion's scores, each unit for itself
	OrderRefit        = "refit"        // channels greedily by what a refit of the others does not make up for (Evidence.OrderByRefit); where nothing is refitted by lsq, by score
	OrderInteractions = "interactions" // greedily by how the gates' gradients add up (Options.Interactions)
	OrderAttention    = "attention"    // rotation pairs (RoPE) greedily by what happens to the attention scores, gains refitted (Options.Gains), best with FitGains; units without rotation by score
)

// QKOrders lists the orders of qk units.
func QKOrders() []string { return []string{OrderScore, OrderInteractions, OrderAttention} }

// FFNOrders lists the orders of feed-forward channels.
func FFNOrders() []string { return []string{OrderScore, OrderRefit} }

// order says in which order the units of one list go, and what each costs when
// its turn comes.
type order struct {
	units []int
	cost  []float64 // never falling
}

// byScore orders units by ascending score; equal scores go from the last unit to the first.
func byScore(scores []float64) order {
	o := order{units: upTo(len(scores)), cost: make([]float64, len(scores))}
	sort.SliceStable(o.units, func(i, j int) bool {
		a, b := o.units[i], o.units[j]
		if scores[a] != scores[b] {
			return scores[a] < scores[b]
		}
		return a > b
	})
	for i, u := range o.units {
		o.cost[i] = scores[u]
	}
	return o
}

// byInteraction orders units greedily by the second moment m [n, n] of their gate
// gradients: removing a set S costs mean_n (sum_{i in S} r_{n,i})^2, the sum of m
// over S x S, and each turn takes the unit that adds least to it:
//
//	m_ii + 2 sum_{j in S} m_ij
//
// so that units whose removals cancel go together and units whose removals
// double up do not. Costs are made never falling and never negative.
func byInteraction(m []float64, n int) order {
	o := order{cost: make([]float64, n)}
	add := make([]float64, n) // what unit i would add now
	gone := make([]bool, n)
	for i := range add {
		add[i] = m[i*n+i]
	}
	last := 0.0
	for turn := range n {
		best := -1
		for i := n - 1; i >= 0; i-- {
			if !gone[i] && (best < 0 || add[i] < add[best]) {
				best = i
			}
		}
		gone[best] = true
		last = max(last, add[best])
		o.cost[turn] = last
		o.units = append(o.units, best)
		for i := range add {
			add[i] += m[i*n+best] + m[best*n+i]
		}
	}
	return o
}

// kept lists, ascending, the units that stay when all but n have gone.
func (o order) kept(n int) []int {
	k := append([]int{}, o.units[len(o.units)-n:]...)
	sort.Ints(k)
	return k
}
