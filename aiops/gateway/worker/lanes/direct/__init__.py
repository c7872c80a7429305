"""The direct lane: a provider that speaks the language of its client is asked without LiteLLM.

keys        where the fields of a body stand
asking      who is asked, and how: what is known before a request comes
body        what is sent
attempt     one provider is asked, and its answer judged
answer      what is passed on of it
packing     answers that come packed
unstreamed  answers in one piece to who asked for a stream
naming      the model of an answer, under the name that was asked for
failed      an attempt that failed, and what a client is told of it
direct      one after another, until one answers
"""
