// Package jinja runs the chat templates of language models: the part of Jinja2 that
// they are written in, with the settings that Hugging Face's transformers renders
// them with (trim_blocks, lstrip_blocks, loop controls, tojson without escapes,
// {% generation %}), byte for byte.
//
// A template comes with a model, from a stranger. Rendering is bounded in steps, in
// the bytes that it makes and in the depth of its calls (Limits), and what is not
// supported is an error that names it: there is no import, no include, no attribute
// of a Go value, nothing that reaches outside of the data that it is given.
//
// A value is None (nil), Undefined, a bool, an int64, a float64, a string, a *List, a
// *Dict, or something to be called. A step is an expression or statement that is evaluated.
package jinja
