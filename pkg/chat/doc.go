// Package chat turns the messages of a chat into the text that a model was trained
// on, and says which part of that text the model is to learn.
//
// A Conversation is a list of messages, each with a role and a content; Parse reads it
// from the records that people have (OpenAI's messages, ShareGPT's conversations,
// Alpaca's instruction and output, prompt and response). A Template is a model's own
// chat_template, in Jinja, or one of Named. Render writes a conversation; with a
// generation prompt the text ends where the assistant's answer begins.
//
// The learned spans of a text are the assistant's turns with what ends each of them.
// They are found by rendering: a turn begins where the rendering of the messages before
// it, with a generation prompt, ends. A template that marks them with {% generation %}
// is believed.
//
// The text of a template holds the beginning-of-text token itself, where the model
// wants one: it is encoded with nothing in front of it and nothing behind it.
package chat
