package parquet

import "encoding/binary"

// Encodings of values.
const (
	encPlain           = 0
	encPlainDictionary = 2
	encRLE             = 3
	encDeltaLength     = 6
	encDelta           = 7
	encRLEDictionary   = 8
)

// plainValues returns count texts, each behind its length.
func plainValues(data []byte, count int) ([][]byte, error) {
	var values [][]byte
	for range count {
		if len(data) < 4 {
			return nil, bad("a page ends before value %d of %d", len(values)+1, count)
		}
		n := binary.LittleEndian.Uint32(data)
		if data = data[4:]; uint64(n) > uint64(len(data)) {
			return nil, bad("a value of %d bytes in the %d that its page has left", n, len(data))
		}
		values = append(values, data[:n:n])
		data = data[n:]
	}
	return values, nil
}

// dictionaryValues returns count texts of a dictionary, by their numbers in it.
func dictionaryValues(data []byte, count int, dictionary [][]byte) ([][]byte, error) {
	if count == 0 {
		return nil, nil
	}
	if len(data) == 0 || data[0] > 32 {
		return nil, bad("a page of numbers in a dictionary has no width of 0 to 32 bits")
	}
	h := hybrid{data: data[1:], width: uint(data[0])}
	var values [][]byte
	for range count {
		i, ok := h.next()
		if !ok {
			return nil, bad("a page ends before value %d of %d", len(values)+1, count)
		}
		if uint64(i) >= uint64(len(dictionary)) {
			return nil, bad("value %d of a dictionary of %d", i, len(dictionary))
		}
		values = append(values, dictionary[i])
	}
	return values, nil
}

// deltaLengthValues returns count texts that lie behind all of their lengths.
func deltaLengthValues(data []byte, count int) ([][]byte, error) {
	lengths, data, err := deltas(data, count, len(data))
	if err != nil {
		return nil, err
	}
	var values [][]byte
	for _, n := range lengths {
		if n > len(data) {
			return nil, bad("a value of %d bytes in the %d that its page has left", n, len(data))
		}
		values = append(values, data[:n:n])
		data = data[n:]
	}
	return values, nil
}

// deltaValues returns count texts that each begin as the one before does; together
// they may have no more than most bytes.
func deltaValues(data []byte, count int, most int64) ([][]byte, error) {
	prefixes, data, err := deltas(data, count, int(min(most, 1<<31-1)))
	if err != nil {
		return nil, err
	}
	values, err := deltaLengthValues(data, count)
	if err != nil {
		return nil, err
	}
	var last []byte
	for i, suffix := range values {
		n := prefixes[i]
		if n > len(last) {
			return nil, bad("a value shares %d bytes with one of %d", n, len(last))
		}
		if most -= int64(n + len(suffix)); most < 0 {
			return nil, errTooMuch
		}
		if n > 0 {
			values[i] = append(append(make([]byte, 0, n+len(suffix)), last[:n]...), suffix...)
		}
		last = values[i]
	}
	return values, nil
}
