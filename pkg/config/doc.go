// Package config is the run file: it composes every package's own Config and
// decodes YAML strictly. Nothing else in the project parses YAML.
//
// Unknown keys, repeated keys and values of the wrong type are errors that name
// the key's path, its line, what was found and what was expected. Overrides
// (key.path=value) obey the same rules.
package config
