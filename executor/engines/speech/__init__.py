"""Speech, as engines see it: what a source of a recogniser gives, sound at another rate, voices that are processes.

What computes is elsewhere: `xla.transcribing` runs a recogniser's mathematics, which `stdlib.models` has.
"""
