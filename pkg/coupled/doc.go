// Package coupled is the estimator: which coupled units of a transformer matter,
// which should go, and how to make their going cheap. Every subcommand shares it.
//
// A unit is one rank-one term of a coupled pair (see docs/method.md): a row of two
// weight matrices that meet in a product. A Group is the units of one kind in
// one layer, found from the names of the parameters' dimensions only:
//
//	dimension      kind   lists        a unit
//	layer.N.qk     qk     K/V heads    one head dimension of q and k; under RoPE one rotation pair
//	layer.N.vo     vo     K/V heads    one head dimension of v and o
//	layer.N.ffn    ffn    1            one hidden channel
//	layer.N.kv     head   1            one K/V head with all its query heads
//
// Four steps, four small types, none of which needs a graph:
//
//   - Evidence is what backward passes showed: streaming statistics of the gates
//     in bounded memory, optionally second moments of activations and squares of
//     weight gradients. Further kinds register themselves (RegisterEvidence), a file each.
//   - A Criterion turns evidence and weights into Scores, a number a unit. Criteria
//     register themselves as well (RegisterCriterion); see examples/criterion.
//   - A Goal (made from a target) gives a Budget; an Allocation divides it among the groups.
//   - A Plan is the decision, as plain data: which units stay. Plan.Cut is what
//     param.Set.Shrink carries out.
//
// Beside the plan stand three exact or least-squares changes of the weights that make
// a cut cheaper: ChangeBasis (before the scores are taken), Compensate and FitGains
// (after the plan is made, before it is carried out).
//
// Letters: B sequences, T tokens, N = B*T rows, E residual width, G key/value
// heads, R query heads a key/value head, D head width, F feed-forward width.
package coupled
