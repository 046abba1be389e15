// Writes the Parquet files of pkg/data/testdata/parquet with three writers that have
// nothing to do with ecospa: DuckDB (C++), arrow-rs (as parquet-wasm) and hyparquet-writer.
// rows.json is what each of them holds: a text a row, null where there is none.
//
//   npm install && node parquet.mjs DIR
import { writeFileSync } from "node:fs";
import { DuckDBInstance } from "@duckdb/node-api";
import { parquetWriteFile } from "hyparquet-writer";
import * as arrow from "apache-arrow";
import * as wasm from "parquet-wasm";

const dir = process.argv[2];
const rows = [];
for (let i = 0; i < 150; i++) {
  if (i % 13 === 5) rows.push(null);
  else if (i % 17 === 3) rows.push("");
  else if (i % 7 === 2) rows.push("the same again");
  else if (i % 5 === 1) rows.push(`prefix shared by many rows, number ${i}`);
  else rows.push(`row ${i}: ${"äßç 日本 🙂 ".repeat(i % 4)}end\n`);
}
writeFileSync(`${dir}/rows.json`, JSON.stringify(rows));
const full = rows.map((r) => r ?? "here");

// DuckDB: several row groups, other columns before and behind, a nested one as well.
const db = await (await DuckDBInstance.create(":memory:")).connect();
await db.run("CREATE TABLE t (id INTEGER, tags VARCHAR[], text VARCHAR, score DOUBLE)");
const a = await db.createAppender("t");
for (let i = 0; i < rows.length; i++) {
  a.appendInteger(i);
  a.appendNull();
  if (rows[i] === null) a.appendNull();
  else a.appendVarchar(rows[i]);
  a.appendDouble(i / 3);
  a.endRow();
}
a.closeSync();
for (const codec of ["uncompressed", "snappy", "gzip", "zstd"])
  await db.run(`COPY t TO '${dir}/duckdb-${codec}.parquet' (FORMAT parquet, CODEC '${codec}', PARQUET_VERSION v1)`);
await db.run(`COPY t TO '${dir}/duckdb-v2.parquet' (FORMAT parquet, CODEC 'zstd', PARQUET_VERSION v2, DICTIONARY_SIZE_LIMIT 1)`);
await db.run(`COPY t TO '${dir}/duckdb-lz4.parquet' (FORMAT parquet, CODEC 'lz4_raw')`); // which is refused

// arrow-rs: data pages of version 1 and 2, each encoding that it has.
const table = (list, nullable) =>
  wasm.Table.fromIPCStream(
    arrow.tableToIPC(
      new arrow.Table(
        new arrow.Schema([new arrow.Field("text", new arrow.Utf8(), nullable)]),
        { text: arrow.vectorFromArray(list, new arrow.Utf8()) },
      ),
      "stream",
    ),
  );
const W = wasm.WriterVersion, C = wasm.Compression, E = wasm.Encoding;
const write = (name, t, f) => {
  const p = f(new wasm.WriterPropertiesBuilder().setMaxRowGroupSize(64)).build();
  writeFileSync(`${dir}/arrow-${name}.parquet`, wasm.writeParquet(t, p));
};
write("v1-plain", table(rows, true), (b) => b.setWriterVersion(W.V1).setDictionaryEnabled(false).setEncoding(E.PLAIN).setCompression(C.SNAPPY));
write("v1-dictionary", table(rows, true), (b) => b.setWriterVersion(W.V1).setDictionaryEnabled(true).setCompression(C.GZIP));
write("v2-dictionary", table(rows, true), (b) => b.setWriterVersion(W.V2).setDictionaryEnabled(true).setCompression(C.ZSTD));
write("v2-delta", table(rows, true), (b) => b.setWriterVersion(W.V2).setDictionaryEnabled(false).setEncoding(E.DELTA_BYTE_ARRAY).setCompression(C.SNAPPY));
write("v2-delta-length", table(rows, true), (b) => b.setWriterVersion(W.V2).setDictionaryEnabled(false).setEncoding(E.DELTA_LENGTH_BYTE_ARRAY).setCompression(C.UNCOMPRESSED));
write("required", table(full, false), (b) => b.setWriterVersion(W.V1).setDictionaryEnabled(true).setCompression(C.SNAPPY));

parquetWriteFile({ filename: `${dir}/hyparquet.parquet`, columnData: [{ name: "n", data: rows.map((_, i) => i), type: "INT32" }, { name: "text", data: rows, type: "STRING" }], rowGroupSize: [50] });
