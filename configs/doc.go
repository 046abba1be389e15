// Package configs holds the example configurations, so that the program has them with
// it wherever it runs: `ecospa pretrain -c quickstart`.
package configs
