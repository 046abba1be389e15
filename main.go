// Command ecospa trains transformers and makes them smaller while they train.
package main

func main() {}
