package checkpoint

// StoredType is the type of most of the numbers of a model's weights, as they lie on
// disk: F32, F16 or BF16. Only headers are read.
func StoredType(root Root) (string, error) {
	files, err := openWeights(root)
	if err != nil {
		return "", err
	}
	defer files.close()
	numbers := map[string]int64{}
	for _, e := range files.entries {
		numbers[e.DType] += (e.Offsets[1] - e.Offsets[0]) / dtypeBytes[e.DType]
	}
	most := "F32"
	for _, t := range []string{"F16", "BF16"} {
		if numbers[t] > numbers[most] {
			most = t
		}
	}
	return most, nil
}
