"""Calls of functions, as the Berkeley Function Calling Leaderboard asks for them, by structured output.

Two of its sets: *simple* (400 questions, one function each) and *multiple* (200, two to four to choose from). Every
call has to be well-formed, whatever the model; whether it is the right one is the model's affair, and printed as it is.
"""
