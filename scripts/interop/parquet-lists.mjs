// Writes the Parquet files of pkg/data/testdata/lists that hold lists of messages, with
// two writers that have nothing to do with ecospa: DuckDB (C++) and arrow-rs (parquet-wasm).
// lists.json is what each of them holds: a list of messages a row, null where there is none.
//
//   npm install && node parquet-lists.mjs DIR
import { writeFileSync } from "node:fs";
import { DuckDBInstance } from "@duckdb/node-api";
import * as arrow from "apache-arrow";
import * as wasm from "parquet-wasm";

const dir = process.argv[2];
const rows = [];
for (let i = 0; i < 40; i++) {
  if (i % 11 === 4) rows.push(null);
  else if (i % 9 === 2) rows.push([]);
  else {
    const turns = [];
    for (let k = 0; k <= i % 4; k++)
      turns.push({ role: "user", content: `question ${i}.${k} äß 🙂` }, { role: "assistant", content: k % 3 === 2 ? null : `answer ${i}.${k}` });
    rows.push(turns);
  }
}
writeFileSync(`${dir}/lists.json`, JSON.stringify(rows));

const db = await (await DuckDBInstance.create(":memory:")).connect();
await db.run("CREATE TABLE t (id INTEGER, messages STRUCT(role VARCHAR, weight INTEGER, content VARCHAR)[], source VARCHAR)");
const text = (s) => s === null ? "NULL" : `'${s}'`;
for (const [i, row] of rows.entries()) {
  const list = row === null ? "NULL" : `[${row.map((m) => `{'role': ${text(m.role)}, 'weight': 1, 'content': ${text(m.content)}}`).join(", ")}]`;
  await db.run(`INSERT INTO t VALUES (${i}, ${list}, 'x')`);
}
await db.run(`COPY t TO '${dir}/lists-duckdb.parquet' (FORMAT parquet, CODEC 'zstd', PARQUET_VERSION v1)`);
await db.run(`COPY t TO '${dir}/lists-duckdb-v2.parquet' (FORMAT parquet, CODEC 'snappy', PARQUET_VERSION v2)`);

const message = new arrow.Struct([new arrow.Field("from", new arrow.Utf8(), true), new arrow.Field("value", new arrow.Utf8(), true)]);
const list = new arrow.List(new arrow.Field("item", message, true));
const vector = arrow.vectorFromArray(rows.map((r) => r && r.map((m) => ({ from: m.role, value: m.content }))), list);
const table = wasm.Table.fromIPCStream(arrow.tableToIPC(new arrow.Table(new arrow.Schema([new arrow.Field("conversations", list, true)]), { conversations: vector }), "stream"));
writeFileSync(`${dir}/lists-arrow.parquet`, wasm.writeParquet(table, new wasm.WriterPropertiesBuilder().setMaxRowGroupSize(16).setCompression(wasm.Compression.GZIP).build()));
