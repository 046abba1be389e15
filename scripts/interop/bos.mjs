// Copies a model directory and puts its end of text in front of every text: a
// template like LLaMA's, in the tokenizer.json of the copy.
//
//   node bos.mjs MODEL COPY
import {cpSync, readFileSync, writeFileSync, mkdirSync} from "node:fs";
import {join} from "node:path";

const [model, copy] = process.argv.slice(2);
mkdirSync(copy);
for (const name of ["config.json", "model.safetensors"])
    cpSync(join(model, name), join(copy, name), {dereference: true});
const tokenizer = JSON.parse(readFileSync(join(model, "tokenizer.json"), "utf8"));
const {id, content} = tokenizer.added_tokens[0];
tokenizer.post_processor = {
    type: "TemplateProcessing", single: [{SpecialToken: {id: content, type_id: 0}}, {Sequence: {id: "A", type_id: 0}}],
    pair: [{Sequence: {id: "A", type_id: 0}}, {Sequence: {id: "B", type_id: 1}}],
    special_tokens: {[content]: {id: content, ids: [id], tokens: [content]}},
};
writeFileSync(join(copy, "tokenizer.json"), JSON.stringify(tokenizer));
