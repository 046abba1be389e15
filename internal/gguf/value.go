package gguf

import "math"

// width is the bytes of one value of a numeric type.
var width = map[uint32]int64{0: 1, 1: 1, 2: 2, 3: 2, typeUint32: 4, typeInt32: 4, typeFloat32: 4, typeBool: 1, 10: 8, 11: 8, 12: 8}

// value reads the value of a key.
func (s *scanner) value(key string, kind uint32) any {
	if s.err != nil {
		return nil
	}
	switch {
	case kind == typeString:
		return s.str()
	case kind == typeArray:
		return s.array(key)
	case width[kind] == 0:
		s.fail("key %.80q has a value of type %d", key, kind)
		return nil
	}
	return number(s.bytes(width[kind]), kind)
}

// number is the value of a numeric type or a bool.
func number(b []byte, kind uint32) any {
	switch kind {
	case 0:
		return uint32(b[0])
	case 1:
		return int32(int8(b[0]))
	case 2:
		return uint32(le.Uint16(b))
	case 3:
		return int32(int16(le.Uint16(b)))
	case typeUint32:
		return le.Uint32(b)
	case typeInt32:
		return int32(le.Uint32(b))
	case typeFloat32:
		return math.Float32frombits(le.Uint32(b))
	case typeBool:
		return b[0] != 0
	case 12:
		return math.Float64frombits(le.Uint64(b))
	}
	n := le.Uint64(b)
	if kind == 10 {
		if n <= math.MaxUint32 {
			return uint32(n)
		}
		return n
	}
	if i := int64(n); i >= math.MinInt32 && i <= math.MaxInt32 {
		return int32(i)
	}
	return int64(n)
}

// array reads an array of strings or of 4-byte numbers; others are skipped and
// come back as nil: nothing here needs them.
func (s *scanner) array(key string) any {
	kind := s.u32()
	if kind == typeString {
		n := s.count("strings", maxArray, 8)
		out := make([]string, 0, min(n, 1<<16))
		for range n {
			if s.err != nil {
				return nil
			}
			out = append(out, s.str())
		}
		return out
	}
	w := width[kind]
	if s.err == nil && w == 0 {
		s.fail("key %.80q is an array of type %d", key, kind)
	}
	if s.err != nil {
		return nil
	}
	raw := s.bytes(w * int64(s.count("numbers", maxArray, w)))
	if s.err != nil {
		return nil
	}
	n := len(raw) / int(w)
	switch kind {
	case 0, 1: // bytes, of either sign
		return append([]byte(nil), raw...)
	case typeUint32:
		return fill(make([]uint32, n), raw, kind)
	case typeInt32:
		return fill(make([]int32, n), raw, kind)
	case typeFloat32:
		return fill(make([]float32, n), raw, kind)
	}
	return nil
}

func fill[E any](out []E, raw []byte, kind uint32) []E {
	for i := range out {
		out[i] = number(raw[4*i:], kind).(E)
	}
	return out
}
