package checkpoint

// Stored says how a model's weights lie on disk: the type of most of their numbers (F32,
// F16 or BF16) and the bytes of their files. Only headers are read.
func Stored(root Root) (dtype string, bytes int64, err error) {
	files, err := openWeights(root)
	if err != nil {
		return "", 0, err
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
	for _, f := range files.files {
		st, err := f.Stat()
		if err != nil {
			return "", 0, err
		}
		bytes += st.Size()
	}
	return most, bytes, nil
}
