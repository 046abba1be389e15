// Package parquet reads one column of text from Apache Parquet files
// (https://parquet.apache.org/docs/file-format/), as pandas, pyarrow, DuckDB, Polars
// and Hugging Face's datasets write them.
//
// It reads what such columns are made of: a BYTE_ARRAY at the top level of the
// schema, required or optional; data pages of version 1 and 2; the encodings PLAIN,
// PLAIN_DICTIONARY, RLE_DICTIONARY, DELTA_LENGTH_BYTE_ARRAY and DELTA_BYTE_ARRAY;
// pages as they are or compressed with Snappy, gzip or Zstandard. Anything else is
// refused with an error that says what was found.
//
// Files come from strangers. No length that a file states is believed before it is
// compared with what the file has: reading takes memory of a small multiple of the
// file's size (see maxExpansion), whatever its bytes are.
package parquet
