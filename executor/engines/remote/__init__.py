"""Models that somebody else serves, behind an API like OpenAI's: an engine as any other, whose device is elsewhere.

    program ─ tokenize ─ prefill ─ decode ─ detokenize        (the stages of a chat, as with any engine)
                                    │
                                    └─ POST …/chat/completions, its events one by one

What an API takes is messages and what it gives is texts, while the stages of a chat speak of tokens. Here a token is
a text, written as a number (`texts`), so that nothing outside has to know.
"""
