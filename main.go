// Command ecospa trains transformers on CPUs and makes them smaller while they train.
package main

import "github.com/ecospa/ecospa/cmd"

func main() { cmd.Main() }
