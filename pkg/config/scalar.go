package config

import (
	"fmt"
	"math"
	"reflect"
	"strconv"

	"gopkg.in/yaml.v3"
)

// scalar decodes a single value. A quoted number is text, and text only.
func scalar(n *yaml.Node, v reflect.Value, path string) error {
	if n.Kind != yaml.ScalarNode {
		return wrong(n, v.Type(), path)
	}
	number := n.Tag == "!!int" || n.Tag == "!!float"
	ok := false
	switch v.Kind() {
	case reflect.String:
		if ok = n.Tag == "!!str" || number; ok {
			v.SetString(n.Value)
		}
	case reflect.Bool:
		if ok = n.Tag == "!!bool" && (n.Value == "true" || n.Value == "false"); ok {
			v.SetBool(n.Value == "true")
		}
	case reflect.Int, reflect.Int64:
		i, err := strconv.ParseInt(n.Value, 10, 64)
		if ok = number && err == nil && !v.OverflowInt(i); ok {
			v.SetInt(i)
		}
	case reflect.Uint64:
		u, err := strconv.ParseUint(n.Value, 10, 64)
		if ok = number && err == nil; ok {
			v.SetUint(u)
		}
	case reflect.Float64:
		f, err := strconv.ParseFloat(n.Value, 64)
		if ok = number && err == nil && !math.IsInf(f, 0); ok {
			v.SetFloat(f)
		}
	default:
		return faulty(n, "%s: %s has no spelling in YAML", name(path), v.Type())
	}
	if !ok {
		return wrong(n, v.Type(), path)
	}
	return nil
}

// wrong is the error about a value of another type.
func wrong(n *yaml.Node, t reflect.Type, path string) error {
	return faulty(n, "%s is %s, expected %s", name(path), found(n), kindName(t))
}

// name is a key's path for a message.
func name(path string) string {
	if path == "" {
		return "the run file"
	}
	return path
}

// found names what a node is.
func found(n *yaml.Node) string {
	switch {
	case n.Kind == yaml.MappingNode:
		return "a section of keys"
	case n.Kind == yaml.SequenceNode:
		return "a list"
	case n.Kind == yaml.AliasNode:
		return "an alias"
	case n.Tag == "!!null" && n.Value == "":
		return "empty"
	case n.Style&yaml.TaggedStyle != 0:
		return fmt.Sprintf("%s with the tag %s", quote(n.Value), printable(n.Tag))
	case n.Style&(yaml.SingleQuotedStyle|yaml.DoubleQuotedStyle) != 0:
		return "the quoted text " + quote(n.Value)
	}
	return quote(n.Value)
}

// quote is text from outside for a message: printable, on one line, not endless.
func quote(s string) string { return `"` + printable(s) + `"` }

func printable(s string) string {
	cut := len(s) > 60
	if cut {
		s = s[:60]
	}
	q := strconv.Quote(s)
	q = q[1 : len(q)-1]
	if cut {
		q += "..."
	}
	return q
}

// kindName names what a type is written as.
func kindName(t reflect.Type) string {
	switch t.Kind() {
	case reflect.String:
		return "text"
	case reflect.Bool:
		return "true or false"
	case reflect.Int, reflect.Int64:
		return "a whole number"
	case reflect.Uint64:
		return "a whole number, 0 or more"
	case reflect.Float64:
		return "a number"
	case reflect.Slice:
		return "a list of " + plural(t.Elem())
	case reflect.Map:
		return "a section of " + plural(t.Elem())
	case reflect.Pointer:
		return kindName(t.Elem())
	}
	return "a section of keys"
}

func plural(t reflect.Type) string {
	switch t.Kind() {
	case reflect.String:
		return "texts"
	case reflect.Int, reflect.Int64:
		return "whole numbers"
	case reflect.Float64:
		return "numbers"
	}
	return kindName(t)
}
