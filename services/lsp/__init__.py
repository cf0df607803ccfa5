"""The language server: what `lang.ide` knows, spoken as the Language Server Protocol over standard input and output.

`text` turns places into lines and characters as the client counts them, `workspace` holds the open files and their
analyses, `convert` makes the protocol's values, `features` answers requests, and `server` ties them to pygls.
"""
