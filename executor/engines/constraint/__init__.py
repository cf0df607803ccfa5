"""Structured output: what a JSON Schema allows, as a value, and what follows from it for a running reply.

`reading` turns a schema's text into a `Document` (`shapes`) and refuses what it does not know, by name and before
anything runs. From a document come a grammar (`grammar`) and with it the tokens that may come next (`masks`), or a
document made up without a model (`inventing`).
"""
